"""Exploration by a stochastic policy: its actions are drawn, and need no noise beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from velora.core.streams import Stream
from velora.core.types import Array
from velora.models.exploration import WarmUp, normal_stream
from velora.ops.choice import Choice
from velora.ops.policies import draw_categorical, draw_gaussian, likeliest
from velora.ops.squashed_gaussian import draw_actions


def _uniform(seeds: Sequence[int], size: int) -> Stream:
    return Stream(seeds, "exploration", lambda g, out: g.random(dtype=np.float32, out=out), (size,), dtype=np.float32)


@final
class SquashedSampling:
    """Draw actions from a stochastic policy, a squashed Gaussian."""

    def __init__(self, seeds: Sequence[int], action_dim: int) -> None:
        self._action_dim = action_dim
        self._warm_up, self._normal = WarmUp(seeds, action_dim), normal_stream(seeds, action_dim)

    @property
    def choice(self) -> Choice:
        """See :class:`Explorer`."""
        return Choice.TANH

    def greedy(self, out: Tensor) -> Tensor:
        """Take the tanh of the mean."""
        return torch.tanh(out[..., : self._action_dim])

    def draw(self, out: Array, generator: np.random.Generator) -> Array:
        """Draw from the policy."""
        return draw_actions(out, generator.standard_normal((len(out), self._action_dim), dtype=np.float32))

    def reseed(self, seeds: Sequence[int]) -> None:
        """See :class:`Explorer`."""
        self._warm_up.reseed(seeds)
        self._normal.reseed(seeds)

    def begin_episode(self, seed_index: int) -> None:
        """See :class:`Explorer`; every step is drawn by itself."""

    def act(
        self, out: NDArray[np.float32], rows: Sequence[int], steps: Sequence[int], warming_up: Sequence[int]
    ) -> NDArray[np.float32]:
        """See :class:`Explorer`; ``out`` is (S, 2A)."""
        tried = draw_actions(out, self._normal.at(steps))
        self._warm_up.replace(tried, steps, warming_up)
        return tried

    def state_dict(self, seed_index: int) -> dict[str, Any]:
        """See :class:`Explorer`; nothing is carried from step to step."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any], seed_index: int = 0) -> None:
        """See :class:`Explorer`."""


@final
class ChoiceSampling:
    """Draw one of several actions from a stochastic policy, by the softmax of what it puts out.

    Warming up draws from equal odds.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self._uniform = _uniform(seeds, 1)

    @property
    def choice(self) -> Choice:
        """See :class:`Explorer`."""
        return Choice.LARGEST

    def greedy(self, out: Tensor) -> Tensor:
        """Take the likeliest action."""
        return likeliest(out)

    def draw(self, out: Array, generator: np.random.Generator) -> Array:
        """Draw from the policy."""
        return draw_categorical(out, generator.random((len(out), 1)))[0]

    def reseed(self, seeds: Sequence[int]) -> None:
        """See :class:`Explorer`."""
        self._uniform.reseed(seeds)

    def begin_episode(self, seed_index: int) -> None:
        """See :class:`Explorer`; every step is drawn by itself."""

    def act(
        self, out: NDArray[np.float32], rows: Sequence[int], steps: Sequence[int], warming_up: Sequence[int]
    ) -> NDArray[np.float32]:
        """See :class:`Explorer`; ``out`` is (S, K), and what is drawn the number of an action, (S, 1)."""
        if warming_up:
            out = out.copy()
            out[list(warming_up)] = 0.0
        return draw_categorical(out, self._uniform.at(steps))[0].astype(np.float32, copy=False)

    def state_dict(self, seed_index: int) -> dict[str, Any]:
        """See :class:`Explorer`; nothing is carried from step to step."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any], seed_index: int = 0) -> None:
        """See :class:`Explorer`."""


@final
class RolloutSampling:
    """Draw actions from a stochastic policy, Gaussian or of choices, and keep how likely each was.

    Shapes:
        log_prob: (S * E, 1), of the newest draws.

    Args:
        seeds: the run seeds (S).
        action_dim: means of as many normal distributions, or logits of as many actions.
        n_envs: environments that each seed acts in at once (E).
        discrete: whether an action is one of ``action_dim``.

    Attributes:
        log_std: of normal distributions the logarithm of the deviations, (S, A), given once the networks are there.
    """

    def __init__(self, seeds: Sequence[int], action_dim: int, *, n_envs: int, discrete: bool) -> None:
        self._n_envs, self.log_std = n_envs, cast(nn.Parameter | None, None)
        self._numbers = _uniform(seeds, n_envs) if discrete else normal_stream(seeds, n_envs * action_dim)
        self.log_prob: NDArray[np.float32] = np.zeros((len(seeds) * n_envs, 1), np.float32)

    @property
    def choice(self) -> Choice:
        """See :class:`Explorer`."""
        return Choice.LARGEST if self.log_std is None else Choice.AS_IS

    def greedy(self, out: Tensor) -> Tensor:
        """Take the mean, or the likeliest action."""
        return likeliest(out) if self.log_std is None else out

    def draw(self, out: Array, generator: np.random.Generator) -> Array:
        """Draw from the policy of the first seed."""
        if self.log_std is None:
            return draw_categorical(out, generator.random((len(out), 1)))[0]
        deviations = self.log_std.detach().cpu().numpy()
        return draw_gaussian(out, deviations[:1], generator.standard_normal(out.shape))[0]

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
            out: (S * E, K), means or logits.
            returns: (S * E, A): the action as it was drawn, which may lie outside [-1, 1], or its number, (S * E, 1).

        Args:
            rows: positions on the seed axis that act; what is drawn for the others means nothing.
            steps: how many steps each seed has lived, in all its environments.
            warming_up: not used: a stochastic policy needs no warm-up.
        """
        numbers = self._numbers.at([step // self._n_envs for step in steps]).reshape(len(out), -1)
        if self.log_std is None:
            drawn, self.log_prob[...] = draw_categorical(out, numbers)
        else:
            log_std = self.log_std.detach().cpu().numpy()
            log_std = log_std if self._n_envs == 1 else log_std.repeat(self._n_envs, 0)
            drawn, self.log_prob[...] = draw_gaussian(out, log_std, numbers)
        return drawn.astype(np.float32, copy=False)
