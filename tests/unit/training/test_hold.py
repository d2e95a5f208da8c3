from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from tests.shared import QUIET
from velora.analysis import find_runs
from velora.callbacks import Callback
from velora.core.errors import RunDirectoryError
from velora.metrics import queries
from velora.models import LiquidDDPG
from velora.training.hold import held

TRY = """
import sys
from pathlib import Path
from velora.core.errors import RunDirectoryError
from velora.training.hold import held
try:
    with held(Path(sys.argv[1])):
        print("free")
except RunDirectoryError as error:
    print(error)
"""


def attempt(directory: Path) -> str:
    """Try to hold a directory in another process."""
    done = subprocess.run([sys.executable, "-c", TRY, str(directory)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


class Look(Callback):
    """Look at the run's directory while it is trained in."""

    def __init__(self) -> None:
        self.statuses: list[str] = []

    def on_episode_end(self, trainer: Any, agent: Any, episode: Any) -> None:
        self.statuses += [run.status for run in find_runs(trainer.run_dir)]


def train(run_dir: Path, *callbacks: Callback) -> None:
    agent = LiquidDDPG(3, 4, 1, warmup_steps=10, device="cpu", seed=0)
    env = gym.make("Pendulum-v1", max_episode_steps=6)
    agent.train(env, 4, n_episodes=1, callbacks=list(callbacks), run_dir=run_dir, **QUIET)


def test_a_run_of_python_is_running_while_it_trains(tmp_path: Path) -> None:
    look = Look()
    train(tmp_path / "run", look)
    assert look.statuses == ["running"]
    assert [run.status for run in find_runs(tmp_path)] == ["finished"]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["metrics.db"]


def test_two_processes_never_share_a_database(tmp_path: Path) -> None:
    with held(tmp_path):
        with held(tmp_path):  # as the trainer does in a directory that the command holds
            assert "another process trains in this directory; give each run a run_dir" in attempt(tmp_path)
        assert "another process trains" in attempt(tmp_path)
    assert attempt(tmp_path) == "free"
    assert list(tmp_path.iterdir()) == []


def test_two_threads_do_not_either(tmp_path: Path) -> None:
    refused: list[BaseException] = []

    def second() -> None:
        try:
            train(tmp_path)
        except RunDirectoryError as error:
            refused.append(error)

    with held(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert len(refused) == 1
    assert not (tmp_path / "metrics.db").exists()


def test_one_run_after_another_may_use_a_directory(tmp_path: Path) -> None:
    train(tmp_path)
    train(tmp_path)
    assert [row.status for row in queries.experiments(tmp_path)] == ["finished", "finished"]


def test_a_directory_that_can_not_be_locked_is_trained_in_all_the_same(tmp_path: Path) -> None:
    (tmp_path / ".lock").mkdir()
    train(tmp_path)
    assert [run.status for run in find_runs(tmp_path)] == ["finished"]


@pytest.mark.parametrize("run_dir", [None])
def test_no_directory_is_no_lock(run_dir: None) -> None:
    with held(run_dir):
        pass
