"""A run that is gone on with from an older checkpoint: what a later resume, and an evaluation, take."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from tests.shared import QUIET, digests
from velora.callbacks import Callback, SaveCheckpoints
from velora.checkpoint import Checkpoint
from velora.checkpoint.choice import choose_checkpoint
from velora.models import LiquidDDPG
from velora.training import TrainResult

Command = Callable[..., Any]


class KillAt(Callback):
    """End the process' run at once, without a save, as a second Ctrl+C does."""

    def __init__(self, step: int) -> None:
        self.at = step

    def on_env_step(self, trainer: Any, agent: Any, transition: Any) -> None:
        if trainer.step == self.at:
            raise KeyboardInterrupt


def train(run: Path, n_episodes: int, *callbacks: Callback, frequency: int = 2, **more: Any) -> TrainResult:
    agent = LiquidDDPG(3, 6, 1, warmup_steps=10, buffer_size=100, device="cpu", seed=1)
    saving = SaveCheckpoints(run / "checkpoints", frequency=frequency)
    env = gym.make("Pendulum-v1", max_episode_steps=10)
    return agent.train(env, 4, n_episodes=n_episodes, callbacks=[saving, *callbacks], run_dir=run, **QUIET, **more)


def latest(run: Path) -> str:
    found = Checkpoint.latest(run)
    assert found is not None
    return found.path.name


def episodes(run: Path) -> list[int]:
    connection = sqlite3.connect(run / "metrics.db")
    try:
        return [row[0] for row in connection.execute("SELECT episode FROM episode ORDER BY episode")]
    finally:
        connection.close()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Make a run of six episodes."""
    train(tmp_path / "run", 6)
    return tmp_path / "run"


def test_a_later_resume_goes_on_with_the_branch(run: Path) -> None:
    old = digests(run / "checkpoints" / "final")
    train(run, 4, resume=run / "checkpoints" / "ep2", frequency=3)
    assert latest(run) == "final"
    assert Checkpoint.open(run / "checkpoints" / "final").metadata.progress.episode == 4
    assert episodes(run) == [1, 2, 3, 4]
    assert len(train(run, 6, resume=run).returns[0]) == 2
    assert Checkpoint.open(run / "checkpoints" / "final").metadata.lineage == ((0, 0), (1, 20))
    assert digests(run / "checkpoints" / "final") == old  # nothing else was changed, so it is the same run


def test_a_branch_that_was_killed_before_its_first_save_is_gone_on_with(run: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(run, 6, KillAt(33), resume=run / "checkpoints" / "ep2", frequency=100)
    assert latest(run) == "ep2"
    assert len(train(run, 3, resume=run).returns[0]) == 1
    assert episodes(run) == [1, 2, 3]


def test_a_branch_that_was_killed_later_is_too(run: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(run, 6, KillAt(45), resume=run / "checkpoints" / "ep2")
    assert latest(run) == "ep4"
    assert Checkpoint.open(run / "checkpoints" / "ep4").metadata.lineage == ((0, 0), (1, 20))
    assert choose_checkpoint(run) == run / "checkpoints" / "ep4"  # and not the final that was left behind
    assert len(train(run, 6, resume=run).returns[0]) == 2


def test_to_go_on_from_what_was_left_behind_begins_another_branch(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    train(run, 3, resume=run / "checkpoints" / "ep2")
    train(run, 5, resume=run / "checkpoints" / "ep4")
    assert Checkpoint.open(run / "checkpoints" / "final").metadata.lineage == ((0, 0), (2, 40))
    assert episodes(run) == [1, 2, 5]  # the third was that of the first branch
    assert any(message.startswith("resume: 2 of the 4 episodes before have no row") for message in caplog.messages)


def test_a_run_without_a_directory_of_its_own_leaves_the_other_as_it_is(run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (run / "checkpoints").rglob("*")}
    agent = LiquidDDPG(3, 6, 1, warmup_steps=10, buffer_size=100, device="cpu", seed=1)
    env = gym.make("Pendulum-v1", max_episode_steps=10)
    agent.train(env, 4, n_episodes=3, resume=run / "checkpoints" / "ep2", **QUIET)
    assert {path: path.stat().st_mtime_ns for path in (run / "checkpoints").rglob("*")} == before
    assert latest(run) == "final"


def test_an_evaluation_takes_the_best_of_the_way_to_the_newest(run: Path) -> None:
    checkpoints = run / "checkpoints"
    assert choose_checkpoint(run) == checkpoints / "final"
    (checkpoints / "ep4").rename(checkpoints / "best")  # as if an evaluation had been best there
    assert choose_checkpoint(run) == checkpoints / "final"
    with pytest.raises(KeyboardInterrupt):
        train(run, 9, KillAt(85), resume=run)
    assert choose_checkpoint(run) == checkpoints / "best"  # the run has gone on beyond its final
    with pytest.raises(KeyboardInterrupt):
        train(run, 9, KillAt(55), resume=checkpoints / "ep2")
    assert choose_checkpoint(run) == checkpoints / "ep4"  # best was left behind


@pytest.mark.slow
def test_the_command_line_begins_a_branch_and_goes_on_with_it(command: Command, tmp_path: Path) -> None:
    tiny = ["train.batch_size=8", "train.progress_bar=false", "train.evaluation_episodes=1", "agent.warmup_steps=450"]
    own = ["checkpoint.frequency=1", "device=cpu", "hydra.run.dir=run", "train.n_episodes=3"]
    assert command("train", *tiny, *own).code == 0
    home = tmp_path / "run" / "checkpoints"
    code, _, err = command("train", "resume=run/checkpoints/ep1", "train.n_episodes=2")
    assert code == 0, err
    assert Checkpoint.open(home / "final").metadata.lineage == ((0, 0), (1, 200))
    assert not (tmp_path / "run" / "checkpoints" / "ep1" / "config.yaml").exists()
    code, out, _ = command("evaluate", "checkpoint=run", "episodes=1")
    assert code == 0
    assert "checkpoint    run/checkpoints/final" in out
    assert command("train", "resume=run").code == 0
    code, _, err = command("train", "resume=run/checkpoints")
    assert code == 2
    assert "run/checkpoints is no run: it has no config.yaml" in err
