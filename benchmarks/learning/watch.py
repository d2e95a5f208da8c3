"""Evaluate an agent while it trains."""

from __future__ import annotations

import time
from typing import Any

from velora.callbacks import Callback
from velora.models import Agent

Point = tuple[int, int, float]
"""Seed, environment step, mean return."""


class Watch(Callback):
    """Evaluate on a grid of environment steps, also in the middle of an episode, and say how far we are.

    Where several environments of a seed step at once, the grid is met at the first step on it or beyond.

    Args:
        label: of the lines that it prints.
        every: environment steps between two evaluations.
        n_steps: of the whole run.

    Attributes:
        best: a copy of the seed with the best evaluation of all, as it was then.
    """

    def __init__(self, label: str, *, every: int, n_steps: int) -> None:
        self._label, self._every, self._n_steps = label, every, n_steps
        self._met, self._highest = 0, float("-inf")
        self.best: Agent | None = None
        self._begin = time.monotonic()
        self.points: list[Point] = []

    def on_env_step(self, trainer: Any, agent: Any, transition: Any) -> None:
        """Evaluate when the grid is met."""
        if trainer.step // self._every == self._met:
            return
        self._met = trainer.step // self._every
        made = trainer.evaluate()
        self.points += [(agent.seeds[k], self._met * self._every, e.mean) for k, e in enumerate(made)]
        best = max(range(len(made)), key=lambda k: made[k].mean)
        if made[best].mean > self._highest:
            self._highest, self.best = made[best].mean, agent.seed(best)
        left = (time.monotonic() - self._begin) * (self._n_steps / trainer.step - 1)
        means = " ".join(f"{e.mean:8.1f}" for e in made)
        print(
            f"{self._label:44} step {trainer.step:7,} of {self._n_steps:,} | {means} | {left:4.0f} s left", flush=True
        )
