"""Who acts: the teacher at first, then the student, who gets into states of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from velora.core.streams import Stream
from velora.core.types import Array
from velora.distill.supervisor import Supervisor
from velora.models.exploration import Explorer
from velora.ops.choice import Choice

Ask = Callable[[Sequence[int]], NDArray[np.float32]]


@final
class Guided:
    """Act as the student prefers, or, in a share of the steps, as the teacher would.

    During warm-up the teacher acts alone; from then on its share falls in a straight line to 0. Which steps are the
    teacher's depends on seed and step alone. Nothing else is tried.

    Args:
        own: how the student chooses.
        supervisor: knows when episodes begin.
        ask: gives the teacher's labels for these positions on the seed axis, (S, A).
        seeds: the run seeds (S).
        warmup_steps: steps of a seed in which the teacher acts alone.
        beta_steps: steps after that, until the student acts alone.

    Source:
        Ross et al. 2011 (arXiv 1011.0686), the mixture ``beta * teacher + (1 - beta) * student`` of algorithm 3.1.
    """

    def __init__(
        self,
        own: Explorer,
        supervisor: Supervisor,
        ask: Ask,
        seeds: Sequence[int],
        *,
        warmup_steps: int,
        beta_steps: int,
    ) -> None:
        self._own, self._supervisor, self._ask = own, supervisor, ask
        self._warmup_steps, self._beta_steps = warmup_steps, beta_steps
        self._uniform = Stream(
            seeds, "distillation", lambda g, out: g.random(dtype=np.float32, out=out), (1,), dtype=np.float32
        )

    @property
    def choice(self) -> Choice:
        """See :class:`Explorer`."""
        return self._own.choice

    def beta(self, step: int) -> float:
        """Return the teacher's share of the steps, at a step of a seed's life."""
        if step < self._warmup_steps:
            return 1.0
        return max(0.0, 1.0 - (step - self._warmup_steps) / self._beta_steps) if self._beta_steps else 0.0

    def reseed(self, seeds: Sequence[int]) -> None:
        """See :class:`Explorer`."""
        self._own.reseed(seeds)
        self._uniform.reseed(seeds)

    def begin_episode(self, seed_index: int) -> None:
        """See :class:`Explorer`."""
        self._own.begin_episode(seed_index)
        self._supervisor.begin_episode(seed_index)

    def greedy(self, out: Tensor) -> Tensor:
        """See :class:`Explorer`."""
        return self._own.greedy(out)

    def draw(self, out: Array, generator: np.random.Generator) -> Array:
        """See :class:`Explorer`."""
        return self._own.draw(out, generator)

    def act(
        self, out: NDArray[np.float32], rows: Sequence[int], steps: Sequence[int], warming_up: Sequence[int]
    ) -> NDArray[np.float32]:
        """See :class:`Explorer`; the teacher is asked at every step, whoever acts."""
        labels, drawn = self._ask(rows), self._uniform.at(steps)
        chosen: NDArray[np.float32] = self._own.greedy(torch.from_numpy(out)).numpy().astype(np.float32)  # a copy
        for k in rows:
            if drawn[k, 0] < self.beta(steps[k]):
                chosen[k] = labels[k]
        return chosen

    def state_dict(self, seed_index: int) -> dict[str, Any]:
        """See :class:`Explorer`."""
        return self._own.state_dict(seed_index)

    def load_state_dict(self, state: Mapping[str, Any], seed_index: int = 0) -> None:
        """See :class:`Explorer`."""
        self._own.load_state_dict(state, seed_index)
