"""Rows to fill a store with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from velora.core.types import Episode, Evaluation
from velora.metrics import MovingWindow, RunStore


def start(store: RunStore, run_id: str = "run-1", *, seeds: tuple[int, ...] = (7,), **more: Any) -> None:
    store.start_run(run_id=run_id, agent="liquid_ddpg", environment="Pendulum-v1", seeds=seeds, **more)


def add(
    store: RunStore, number: int, reward: float = -1.0, *, seed: int = 7, losses: Mapping[str, float] | None = None
) -> None:
    window = MovingWindow(10)
    window.add(reward)
    episode = Episode(0, number, reset_seed=1000 + number, reward=reward, length=200, truncated=True)
    step = 200 * number
    store.add_episode(episode, seed=seed, step=step, update=step - 100, window=window.stats(), losses=losses)


def evaluate(store: RunStore, number: int, *returns: float, seed: int = 7) -> None:
    store.add_evaluation(Evaluation(0, step=200 * number, episode=number, returns=returns), seed=seed)
