"""Metric rows across a resume: none is missing or other than in the run in one piece, or it is said."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from tests.shared import QUIET
from velora.callbacks import Callback, SaveCheckpoints
from velora.checkpoint import Checkpoint
from velora.metrics import queries
from velora.models import Agent, LiquidPPO, LiquidTD3


class FailAt(Callback):
    """Fail once, right after a step."""

    def __init__(self, step: int) -> None:
        self.at = step

    def on_env_step(self, trainer: Any, agent: Any, transition: Any) -> None:
        if trainer.progress[0].step >= self.at:
            self.at = 10**9
            raise OSError("the disk is full")


class LogUpdates(Callback):
    """Log a number at every update, every step, every beginning and every end of an episode."""

    def on_train_batch_end(self, trainer: Any, agent: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        for progress in trainer.progress:
            loss = next(iter(outputs.values()))[progress.seed_index]
            trainer.log({"update/loss": loss}, seed_index=progress.seed_index)

    def on_step_end(self, trainer: Any, agent: Any) -> None:
        trainer.log({"step": trainer.progress[0].step})

    def on_episode_start(self, trainer: Any, agent: Any, episode: Any) -> None:
        trainer.log({"begins": episode.reset_seed}, seed_index=episode.seed_index)

    def on_episode_end(self, trainer: Any, agent: Any, episode: Any) -> None:
        trainer.log({"ends": episode.reward}, seed_index=episode.seed_index)


def ppo(**own: Any) -> Agent:
    return LiquidPPO(3, 6, 1, rollout_steps=40, sequence_length=4, n_epochs=1, device="cpu", **own)


def td3(**own: Any) -> Agent:
    return LiquidTD3(3, 6, 1, policy_delay=7, warmup_steps=10, buffer_size=60, device="cpu", **own)


def train(agent: Agent, run: Path, *callbacks: Callback, n_steps: int = 120, **more: Any) -> None:
    env = gym.make("Pendulum-v1", max_episode_steps=6)
    saving = SaveCheckpoints(run / "checkpoints", frequency=more.pop("frequency", None))
    agent.train(env, 8, n_steps=n_steps, callbacks=[saving, *callbacks], run_dir=run, **QUIET, **more)


def rows(run: Path) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(run / "metrics.db")
    try:
        return connection.execute(
            "SELECT seed, episode, name, value FROM metric ORDER BY seed, episode, name"
        ).fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize("seeds", [(1,), (1, 2)])
@pytest.mark.parametrize(("make", "cut"), [(ppo, 58), (ppo, 101), (td3, 43), (td3, 62)])
@pytest.mark.some(3)
def test_every_row_is_that_of_the_run_in_one_piece(tmp_path: Path, make: Any, cut: int, seeds: tuple[int, ...]) -> None:
    train(make(seeds=seeds), tmp_path / "whole")
    with pytest.raises(OSError, match="the disk is full"):
        train(make(seeds=seeds), tmp_path / "cut", FailAt(cut))
    train(make(seeds=seeds), tmp_path / "cut", resume=tmp_path / "cut")
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")
    names = {str(name) for *_, name, _ in rows(tmp_path / "whole")}
    assert "actor/loss" in names
    assert len(rows(tmp_path / "whole")) > 10 * len(names)


@pytest.mark.parametrize("seeds", [(1,), (1, 2)])
@pytest.mark.parametrize(("make", "cut"), [(ppo, 58), (td3, 43), (td3, 60)])
@pytest.mark.some(2)
def test_what_callbacks_log_is_that_of_the_run_in_one_piece(
    tmp_path: Path, make: Any, cut: int, seeds: tuple[int, ...]
) -> None:
    """Neither lost, nor left over of what came after the checkpoint, nor there twice."""
    logging = LogUpdates()
    train(make(seeds=seeds), tmp_path / "whole", logging, frequency=3)
    with pytest.raises(OSError, match="the disk is full"):
        train(make(seeds=seeds), tmp_path / "cut", FailAt(cut), logging, frequency=3)
    for checkpoint in (tmp_path / "cut").glob("checkpoints/**/crashed"):
        shutil.rmtree(checkpoint)  # as if it had been killed: rows are there of after the newest checkpoint
    before = queries.logged(tmp_path / "cut")
    train(make(seeds=seeds), tmp_path / "cut", logging, frequency=3, resume=tmp_path / "cut")
    after = queries.logged(tmp_path / "cut")
    assert after == queries.logged(tmp_path / "whole")
    assert {row.name for row in after} == {"update/loss", "step", "begins", "ends"}
    assert max(row.step for row in before) > max(6 * 3 * (cut // 18), cut - 2)
    assert len(after) > len(before) > cut


def test_a_seed_that_never_learned_reports_nothing_after_a_resume(tmp_path: Path) -> None:
    train(td3(seed=1), tmp_path, n_steps=9)
    state = Checkpoint.open(tmp_path / "checkpoints" / "final").metadata.train_state
    assert state is not None
    assert state["metrics"] == {}
    train(td3(seed=1), tmp_path, n_steps=12, resume=tmp_path)
    assert {episode for _, episode, *_ in rows(tmp_path)} == {2}


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="sees what is synced by Linux's /proc")
def test_rows_are_on_the_disk_before_the_checkpoint_that_counts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        fsync(descriptor)
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)

    monkeypatch.setattr(os, "fsync", watched)
    train(td3(seed=1), tmp_path / "run", frequency=5, n_steps=60)
    files = [name for name in synced if name in ("metrics.db-wal", "metadata.json")]
    assert files == [*(["metrics.db-wal", "metadata.json"] * 2), "metadata.json"]  # no row between ep10 and final


def test_rows_that_a_locked_database_never_took_are_counted_at_the_resume(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("velora.metrics.writer._CLOSING_TIMEOUT_S", 0.1)
    train(td3(seed=1), tmp_path, n_steps=18)
    other = sqlite3.connect(tmp_path / "metrics.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    train(td3(seed=1), tmp_path, n_steps=42, resume=tmp_path)
    other.execute("COMMIT")
    other.close()
    said = [message for message in caplog.messages if message.startswith("save into")]
    assert len(said) == 1
    assert said[0].startswith(
        f"save into {tmp_path / 'checkpoints' / 'final'}: the rows of the metrics up to here aren't"
    )
    assert any("could not be written" in message for message in caplog.messages)
    caplog.clear()
    train(td3(seed=1), tmp_path, n_steps=60, resume=tmp_path)
    said = [message for message in caplog.messages if message.startswith("resume")]
    assert len(said) == 1
    assert said[0].startswith(
        f"resume: 4 of the 7 episodes before have no row in {tmp_path / 'metrics.db'} (seed 1): it"
    )
