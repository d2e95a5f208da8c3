"""How a stochastic policy acts: by a draw that seed and step alone decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.core.streams import Stream
from velora.core.types import Array
from velora.ops.policies import draw_categorical, draw_gaussian


class Sampling:
    """Draw actions of all seeds from what their policies put out.

    Args:
        seeds: the run seeds (S).
        action_dim: means of as many normal distributions, or logits of as many actions.
        log_std: returns the log of the deviations, (S, A); ``None`` where an action is one of ``action_dim``.
        log_prob: (S, 1), where each draw leaves its log-probability.
    """

    def __init__(
        self, seeds: Sequence[int], action_dim: int, *, log_std: Callable[[], Array | None], log_prob: Array
    ) -> None:
        self._log_std, self._log_prob = log_std, log_prob
        self._numbers = (
            Stream(seeds, "exploration", _uniform, (1,), dtype=np.float32)
            if log_std() is None
            else Stream(seeds, "exploration", _normal, (action_dim,), dtype=np.float32)
        )

    def reseed(self, seeds: Sequence[int]) -> None:
        """Draw for other run seeds from now on."""
        self._numbers.reseed(seeds)

    def begin_episode(self, seed_index: int) -> None:
        """Do nothing: draws don't depend on each other."""

    def state_dict(self, seed_index: int) -> dict[str, Any]:
        """Return nothing: draws go by position."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any], seed_index: int = 0) -> None:
        """Take nothing over."""

    def act(
        self, out: NDArray[np.float32], rows: Sequence[int], steps: Sequence[int], warming_up: Sequence[int]
    ) -> NDArray[np.float32]:
        """Draw once.

        Shapes:
            out: (S, K), means or logits.
            returns: (S, A): the action as it was drawn, which may lie outside [-1, 1], or its number, (S, 1).

        Args:
            rows: positions on the seed axis that act; what is drawn for the others means nothing.
            steps: how many steps each seed has lived.
            warming_up: not used: a stochastic policy needs no warm-up.
        """
        numbers = self._numbers.at(steps)
        log_std = self._log_std()
        drawn, log_prob = draw_categorical(out, numbers) if log_std is None else draw_gaussian(out, log_std, numbers)
        self._log_prob[...] = log_prob
        return drawn.astype(np.float32, copy=False)


def _uniform(generator: np.random.Generator, out: Array) -> Any:
    return generator.random(dtype=np.float32, out=out)


def _normal(generator: np.random.Generator, out: Array) -> Any:
    return generator.standard_normal(dtype=np.float32, out=out)
