"""Exact resume: a run cut in two, in two processes, ends in the same bits as the run in one piece."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from velora.callbacks import Callback, SaveCheckpoints
from velora.checkpoint import Checkpoint
from velora.models import LiquidDDPG
from velora.training import TrainResult

RUN = """
import sys
from velora.callbacks import EarlyStopping, SaveCheckpoints
from velora.models import LiquidDDPG
from velora.utils import set_seed

set_seed(3)
env, dims, episodes, directory, *resume = sys.argv[1:]
state_dim, action_dim = map(int, dims.split(","))
agent = LiquidDDPG(state_dim, 6, action_dim, warmup_steps=40, buffer_size=150, sequence_length=2, burn_in=1,
                   device="cpu")
callbacks = [SaveCheckpoints(f"{directory}/checkpoints", frequency=4), EarlyStopping(patience=1000)]
agent.train(env, 8, n_episodes=int(episodes), n_steps=int(1e9), window_size=3, evaluate_every=3, evaluation_episodes=2,
            callbacks=callbacks, run_dir=directory, resume=resume[0] if resume else None, summary=False)
"""


def run(*arguments: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN, *map(str, arguments)], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr


def rows(database: Path) -> list[tuple[object, ...]]:
    with sqlite3.connect(database) as connection:
        episodes = connection.execute(
            "SELECT seed, episode, step, reward, length, reset_seed, window_mean, window_std, window_max FROM episode"
            " ORDER BY episode"
        ).fetchall()
        evaluations = connection.execute("SELECT seed, step, episode, mean, returns FROM evaluation ORDER BY step")
        return episodes + evaluations.fetchall()


def digests(checkpoint: Path) -> dict[str, str]:
    return {name: info.sha256 for name, info in Checkpoint.open(checkpoint).metadata.files.items()}


@pytest.mark.parametrize(("env", "dims"), [("InvertedPendulum-v5", "4,1"), ("Pendulum-v1", "3,1")])
def test_two_halves_in_two_processes_equal_the_whole(tmp_path: Path, env: str, dims: str) -> None:
    run(env, dims, "8", tmp_path / "whole")
    run(env, dims, "4", tmp_path / "halves")
    # The run was told of 4 episodes; told of 8 it goes on to 8.
    run(env, dims, "8", tmp_path / "halves", tmp_path / "halves" / "checkpoints" / "ep4")
    for name in ("ep8", "final"):
        whole, halves = (digests(tmp_path / kind / "checkpoints" / name) for kind in ("whole", "halves"))
        assert whole == halves
    assert rows(tmp_path / "whole" / "metrics.db") == rows(tmp_path / "halves" / "metrics.db")


class FailAt(Callback):
    """Fail once, right after a step."""

    def __init__(self, step: int) -> None:
        self.at = step

    def on_env_step(self, trainer: Any, agent: Any, transition: Any) -> None:
        if trainer.step == self.at:
            self.at = -1
            raise OSError("the disk is full")


@pytest.mark.parametrize("step", [5, 9])
def test_a_crash_right_after_a_step_can_be_gone_on_from(tmp_path: Path, step: int) -> None:
    def train(*callbacks: Callback, resume: Path | None = None) -> TrainResult:
        agent = LiquidDDPG(3, 6, 1, device="cpu", seed=1, warmup_steps=2, buffer_size=50)
        env = gym.make("Pendulum-v1", max_episode_steps=5)
        saving = SaveCheckpoints(tmp_path / "checkpoints", frequency=100)
        quiet = {"progress_bar": False, "summary": False}
        return agent.train(env, 2, n_episodes=4, callbacks=[saving, *callbacks], resume=resume, **quiet)

    with pytest.raises(OSError, match="the disk is full"):
        train(FailAt(step))
    assert Checkpoint.open(tmp_path / "checkpoints" / "interrupted").metadata.progress.step == step
    assert not (tmp_path / "checkpoints" / "final").exists()
    result = train(resume=tmp_path / "checkpoints")
    assert result.status == "finished"
    assert Checkpoint.open(tmp_path / "checkpoints" / "final").metadata.progress.step == 20
