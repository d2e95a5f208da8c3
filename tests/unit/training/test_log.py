"""``trainer.log``: every number has a row, whether or not there is a logger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers.logger import DummyLogger

from tests.shared import QUIET
from velora.analysis import find_runs
from velora.callbacks import Callback
from velora.core.errors import SettingError
from velora.metrics import queries
from velora.models import LiquidTD3


class Logging(Callback):
    """Log from many hooks."""

    def setup(self, trainer: Any, agent: Any, stage: str) -> None:
        trainer.log({"setup": 1})

    def on_train_start(self, trainer: Any, agent: Any) -> None:
        trainer.log({"start": np.float32(0.5)})

    def on_train_batch_end(self, trainer: Any, agent: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        for progress in trainer.progress:
            loss = next(iter(outputs.values()))[progress.seed_index]
            trainer.log({"own/loss": loss}, seed_index=progress.seed_index)

    def on_episode_end(self, trainer: Any, agent: Any, episode: Any) -> None:
        trainer.log({"own/return": episode.reward}, seed_index=episode.seed_index)

    def on_fit_end(self, trainer: Any, agent: Any) -> None:
        trainer.log({"end": torch.tensor([2.0])})

    def teardown(self, trainer: Any, agent: Any, stage: str) -> None:
        trainer.log({"teardown": 3.0})


class Keeping(DummyLogger):
    """Keep what a logger is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, *args: Any, **kwargs: Any) -> None:
        self.sent.append((kwargs["step"], args[0]))


def train(*callbacks: Callback, seeds: tuple[int, ...] = (3,), run_dir: Path | None = None, **more: Any) -> None:
    agent = LiquidTD3(3, 6, 1, warmup_steps=10, buffer_size=60, device="cpu", seeds=seeds)
    env = gym.make("Pendulum-v1", max_episode_steps=6)
    agent.train(env, 8, n_steps=24, callbacks=list(callbacks), run_dir=run_dir, **QUIET, **more)


def test_every_number_is_in_the_metrics_with_its_seed_and_place(tmp_path: Path) -> None:
    train(Logging(), run_dir=tmp_path, seeds=(3, 5))
    by_name = {row.name: row for row in queries.logged(tmp_path)}
    places = {name: (row.seed, row.step, row.updates, row.episode, row.value) for name, row in by_name.items()}
    assert places["setup"] == (3, 0, 0, 0, 1.0)
    assert places["start"] == (3, 0, 0, 0, 0.5)
    assert places["end"][::2] == (3, by_name["own/loss"].updates, 2.0)
    assert places["teardown"][1] == 24
    returns = [(row.seed, row.step, row.value) for row in queries.logged(tmp_path, name="own/return")]
    assert returns == [(row.seed, row.step, row.reward) for row in queries.episodes(tmp_path)]
    losses = queries.logged(tmp_path, name="own/loss", seed=5)
    assert [row.updates for row in losses] == list(range(1, len(losses) + 1))
    assert len(losses) > 5
    assert find_runs(tmp_path)[0].metric("own/return").column("step") == [6, 12, 18, 24] * 2


def test_what_velora_itself_sends_to_loggers_has_rows_of_its_own_and_none_twice(tmp_path: Path) -> None:
    logger = Keeping()
    train(run_dir=tmp_path, logger=logger, log_every=2, evaluate_every=2, evaluation_episodes=1)
    assert {name for _, sent in logger.sent for name in sent} >= {"episode/return", "evaluation/mean", "critic_1/loss"}
    assert queries.logged(tmp_path) == []


def test_a_logger_is_sent_the_same_numbers_with_the_seed_in_their_names(tmp_path: Path) -> None:
    logger = Keeping()
    train(Logging(), run_dir=tmp_path, seeds=(3, 5), logger=logger, log_every=10**6)
    sent = [(step, value) for step, sent in logger.sent for name, value in sent.items() if name == "seed5/own/return"]
    assert sent == [(row.step, row.value) for row in queries.logged(tmp_path, name="own/return", seed=5)]
    assert (0, {"seed3/setup": 1.0}) in logger.sent


class Bad(Callback):
    """Log something that can't be logged."""

    def __init__(self, what: Any, seed_index: int = 0) -> None:
        self.what, self.seed_index = what, seed_index

    def on_train_start(self, trainer: Any, agent: Any) -> None:
        trainer.log(self.what, seed_index=self.seed_index)


@pytest.mark.parametrize("value", ["high", None, torch.zeros(2), [1.0]])
def test_what_is_no_number_is_refused_by_name(value: Any) -> None:
    with pytest.raises(SettingError, match="log: mine: expected a number, got "):
        train(Bad({"mine": value}))


def test_a_seed_that_is_not_there_is_refused() -> None:
    with pytest.raises(SettingError, match="log: expected a seed_index from 0 to 0, got 1"):
        train(Bad({"mine": 1.0}, seed_index=1))
