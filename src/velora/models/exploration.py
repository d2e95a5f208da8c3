"""How an agent turns what its actor puts out into actions: random warm-up, then noise on them; see also sampling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from velora.core.streams import Stream
from velora.core.types import Array
from velora.ops.choice import Choice
from velora.ops.noise import correlated_noise, innovation_std


class Explorer(Protocol):
    """Turn what policies put out into actions to try; what is drawn depends on seed and step alone.

    Attributes:
        choice: what :meth:`greedy` does, in a word.
    """

    @property
    def choice(self) -> Choice: ...

    def reseed(self, seeds: Sequence[int]) -> None:
        """Draw for other run seeds from now on."""
        ...

    def begin_episode(self, seed_index: int) -> None:
        """Forget what belongs to the episode before."""
        ...

    def greedy(self, out: Tensor) -> Tensor:
        """Return the action that the policy prefers.

        Shapes:
            out: (..., K), what the actor puts out.
            returns: (..., A) in [-1, 1], or the number of a discrete action, (..., 1).
        """
        ...

    def draw(self, out: Array, generator: np.random.Generator) -> Array:
        """Return an action to try that depends on no step before: (B, K) to (B, A) or (B, 1), as :meth:`greedy`."""
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


def normal_stream(seeds: Sequence[int], size: int, *, std: float = 1.0) -> Stream:
    """Make the normal numbers of exploration, so many for each step of a seed."""

    def draw(generator: np.random.Generator, out: Array) -> None:
        generator.standard_normal(dtype=np.float32, out=out)
        out *= std

    return Stream(seeds, "exploration", draw, (size,), dtype=np.float32)


@final
class CorrelatedNoise:
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
        self._change, self._decay_steps = 0.0 if final_std is None else final_std - std, decay_steps
        self._warm_up = WarmUp(seeds, action_dim)
        self._innovations = normal_stream(seeds, action_dim, std=innovation_std(1.0, correlation))
        self.noise: NDArray[np.float32] = np.zeros((len(seeds), action_dim), dtype=np.float32)
        self._first_std = std
        self._std, self._correlation = np.full_like(self.noise, std), np.full_like(self.noise, correlation)
        self._low, self._high = np.full_like(self.noise, -1.0), np.full_like(self.noise, 1.0)

    def set_std(self, seed_index: int, std: float) -> None:
        """Let the noise of one seed have another deviation from now on."""
        self._std[seed_index] = std

    def forget_std(self) -> None:
        """Go back to the deviation that all seeds began with."""
        self._std[...] = self._first_std

    def reseed(self, seeds: Sequence[int]) -> None:
        """Draw for other run seeds from now on."""
        self._warm_up.reseed(seeds)
        self._innovations.reseed(seeds)

    def begin_episode(self, seed_index: int) -> None:
        """Forget the noise of the episode before."""
        self.noise[seed_index] = 0.0

    @property
    def choice(self) -> Choice:
        """See :class:`Explorer`."""
        return Choice.AS_IS

    def greedy(self, out: Tensor) -> Tensor:
        """Take what the actor puts out as the action."""
        return out

    def draw(self, out: Array, generator: np.random.Generator) -> Array:
        """Add Gaussian noise of the deviation that training begins with."""
        noisy: Array = out + self._first_std * generator.standard_normal(out.shape)
        return noisy.clip(-1.0, 1.0)

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
        self._advance(rows, self._innovations.at(steps))
        if self._change:
            shares = [[min(1.0, step / self._decay_steps)] for step in steps]
            self._std[...] = np.asarray(shares, np.float32) * self._change + self._first_std
        # Arrays of one shape, and a new one for each result: broadcasting, or writing over what is read, costs three
        # times as much on arrays this small, and np.clip more.
        tried: NDArray[np.float32] = np.minimum(np.maximum(actions + self._std * self.noise, self._low), self._high)
        if warming_up:
            self._warm_up.replace(tried, steps, warming_up)
        return tried

    def _advance(self, rows: Sequence[int], innovation: NDArray[np.float32]) -> None:
        noise = correlated_noise(self.noise, innovation, correlation=self._correlation)
        if len(rows) == len(noise):
            self.noise = noise
        else:
            where = list(rows)
            self.noise[where] = noise[where]

    def state_dict(self, seed_index: int) -> dict[str, Any]:
        """Return the noise of one seed."""
        return {"noise": self.noise[seed_index].tolist()}

    def load_state_dict(self, state: Mapping[str, Any], seed_index: int = 0) -> None:
        """Take over the saved noise of one seed."""
        self.noise[seed_index] = np.asarray(state["noise"], dtype=np.float32)
