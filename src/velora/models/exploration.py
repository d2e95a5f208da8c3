"""How an agent tries things: random warm-up, then noise on its actions, or actions drawn from its policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from velora.core.streams import Stream
from velora.core.types import Array
from velora.ops.noise import correlated_noise
from velora.ops.policies import draw_categorical, draw_gaussian
from velora.ops.squashed_gaussian import draw_actions


class Explorer(Protocol):
    """Turn what policies put out into actions to try; what is drawn depends on seed and step alone."""

    def reseed(self, seeds: Sequence[int]) -> None:
        """Draw for other run seeds from now on."""
        ...

    def begin_episode(self, seed_index: int) -> None:
        """Forget what belongs to the episode before."""
        ...

    def act(
        self, out: NDArray[np.float32], rows: Sequence[int], steps: Sequence[int], warming_up: Sequence[int]
    ) -> NDArray[np.float32]:
        """Choose actions (S, A) in [-1, 1] for what the policies put out, (S, K).

        Args:
            rows: positions on the seed axis that act.
            steps: how many steps each seed has lived.
            warming_up: positions on the seed axis that act at random.
        """
        ...

    def state_dict(self, seed_index: int) -> dict[str, Any]:
        """Return what an exact resume of one seed needs."""
        ...

    def load_state_dict(self, state: Mapping[str, Any], seed_index: int = 0) -> None:
        """Take it over."""
        ...


@final
class WarmUp:
    """Draw uniform actions in [-1, 1)."""

    def __init__(self, seeds: Sequence[int], action_dim: int) -> None:
        self._uniform = Stream(
            seeds, "warmup", lambda g, out: g.random(dtype=np.float32, out=out), (action_dim,), dtype=np.float32
        )

    def reseed(self, seeds: Sequence[int]) -> None:
        """Draw for other run seeds from now on."""
        self._uniform.reseed(seeds)

    def replace(self, actions: NDArray[np.float32], steps: Sequence[int], warming_up: Sequence[int]) -> None:
        """Put random actions in the place of those (S, A) at the positions ``warming_up``."""
        if warming_up:
            where = list(warming_up)
            actions[where] = (2.0 * self._uniform.at(steps) - 1.0)[where]


def _normal(seeds: Sequence[int], size: int) -> Stream:
    return Stream(
        seeds, "exploration", lambda g, out: g.standard_normal(dtype=np.float32, out=out), (size,), dtype=np.float32
    )


def _uniform(seeds: Sequence[int], size: int) -> Stream:
    return Stream(seeds, "exploration", lambda g, out: g.random(dtype=np.float32, out=out), (size,), dtype=np.float32)


@final
class SquashedSampling:
    """Draw actions from a stochastic policy, a squashed Gaussian."""

    def __init__(self, seeds: Sequence[int], action_dim: int) -> None:
        self._warm_up, self._normal = WarmUp(seeds, action_dim), _normal(seeds, action_dim)

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

    Args:
        seeds: the run seeds (S).
        action_dim: means of as many normal distributions, or logits of as many actions.
        n_envs: environments that each seed acts in at once (E).
        log_std: returns the log of the deviations, (S, A); ``None`` where an action is one of ``action_dim``.
        log_prob: (S * E, 1), where each draw leaves its log-probability.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        action_dim: int,
        *,
        n_envs: int,
        log_std: Callable[[], Array | None],
        log_prob: Array,
    ) -> None:
        self._n_envs, self._log_std, self._log_prob = n_envs, log_std, log_prob
        self._numbers = _uniform(seeds, n_envs) if log_std() is None else _normal(seeds, n_envs * action_dim)

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
        log_std = self._log_std()
        if log_std is not None and self._n_envs > 1:
            log_std = log_std.repeat(self._n_envs, 0)
        drawn, log_prob = draw_categorical(out, numbers) if log_std is None else draw_gaussian(out, log_std, numbers)
        self._log_prob[...] = log_prob
        return drawn.astype(np.float32, copy=False)


@final
class Exploration:
    """Turn policy actions into tried ones; what is drawn depends on seed and step alone.

    Shapes:
        noise: (S, A), the process of each seed, of unit deviation; back at zero when its episode begins.

    Args:
        std: deviation of the noise in normalised actions.
        final_std: what it goes to, in a straight line over ``decay_steps`` steps of each seed; ``None`` leaves it.
        correlation: from step to step.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        action_dim: int,
        *,
        std: float,
        final_std: float | None = None,
        decay_steps: int = 1,
        correlation: float,
    ) -> None:
        self._std, self._correlation = std, correlation
        self._change, self._decay_steps = 0.0 if final_std is None else final_std - std, decay_steps
        self._warm_up, self._normal = WarmUp(seeds, action_dim), _normal(seeds, action_dim)
        self.noise: NDArray[np.float32] = np.zeros((len(seeds), action_dim), dtype=np.float32)

    def reseed(self, seeds: Sequence[int]) -> None:
        """Draw for other run seeds from now on."""
        self._warm_up.reseed(seeds)
        self._normal.reseed(seeds)

    def begin_episode(self, seed_index: int) -> None:
        """Forget the noise of the episode before."""
        self.noise[seed_index] = 0.0

    def act(
        self, actions: NDArray[np.float32], rows: Sequence[int], steps: Sequence[int], warming_up: Sequence[int]
    ) -> NDArray[np.float32]:
        """Add the next noise to policy actions, and replace those of seeds that are warming up by random ones.

        Shapes:
            actions, returns: (S, A) in [-1, 1].

        Args:
            rows: positions on the seed axis that act; the noise of the others stays as it is.
            steps: how many steps each seed has lived.
            warming_up: positions on the seed axis that act at random.
        """
        normal = self._normal.at(steps)
        noise = correlated_noise(self.noise, normal, std=1.0, correlation=self._correlation)
        where: Any = ... if len(rows) == len(noise) else list(rows)
        self.noise[where] = noise[where]
        tried: NDArray[np.float32] = actions + self._deviation(steps) * self.noise
        np.minimum(np.maximum(tried, -1.0, out=tried), 1.0, out=tried)
        self._warm_up.replace(tried, steps, warming_up)
        return tried

    def _deviation(self, steps: Sequence[int]) -> Any:
        if not self._change:
            return self._std
        shares = [[min(1.0, step / self._decay_steps)] for step in steps]
        return np.asarray(shares, np.float32) * self._change + self._std

    def state_dict(self, seed_index: int) -> dict[str, Any]:
        """Return the noise of one seed."""
        return {"noise": self.noise[seed_index].tolist()}

    def load_state_dict(self, state: Mapping[str, Any], seed_index: int = 0) -> None:
        """Take over the saved noise of one seed."""
        self.noise[seed_index] = np.asarray(state["noise"], dtype=np.float32)
