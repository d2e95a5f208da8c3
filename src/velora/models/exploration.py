"""How an agent tries things: random warm-up, then temporally correlated noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.core.streams import Stream
from velora.ops.noise import correlated_noise


class Exploration:
    """Turn policy actions into tried ones; what is drawn depends on seed and step alone.

    Shapes:
        noise: (S, A), the process of each seed, back at zero when its episode begins.
    """

    def __init__(self, seeds: Sequence[int], action_dim: int, *, std: float, correlation: float) -> None:
        self._std, self._correlation = std, correlation
        self._normal = Stream(
            seeds, "exploration", lambda g, out: g.standard_normal(dtype=np.float32, out=out), (action_dim,),
            dtype=np.float32,
        )  # fmt: skip
        self._uniform = Stream(
            seeds, "warmup", lambda g, out: g.random(dtype=np.float32, out=out), (action_dim,), dtype=np.float32
        )
        self.noise: NDArray[np.float32] = np.zeros((len(seeds), action_dim), dtype=np.float32)

    def begin_episode(self, seed_index: int) -> None:
        """Forget the noise of the episode before."""
        self.noise[seed_index] = 0.0

    def act(self, actions: NDArray[np.float32], steps: Sequence[int], warming_up: Sequence[int]) -> NDArray[np.float32]:
        """Add the next noise to policy actions, and replace those of seeds that are warming up by random ones.

        Shapes:
            actions, returns: (S, A) in [-1, 1].

        Args:
            steps: how many steps each seed has lived.
            warming_up: positions on the seed axis that act at random.
        """
        normal = self._normal.at(steps)
        self.noise[...] = correlated_noise(self.noise, normal, std=self._std, correlation=self._correlation)
        tried: NDArray[np.float32] = actions + self.noise
        np.minimum(np.maximum(tried, -1.0, out=tried), 1.0, out=tried)
        if warming_up:
            random = 2.0 * self._uniform.at(steps) - 1.0
            for k in warming_up:
                tried[k] = random[k]
        return tried

    def state_dict(self, seed_index: int) -> dict[str, Any]:
        """Return the noise of one seed."""
        return {"noise": self.noise[seed_index].tolist()}

    def load_state_dict(self, state: Mapping[str, Any], seed_index: int = 0) -> None:
        """Take over the saved noise of one seed."""
        self.noise[seed_index] = np.asarray(state["noise"], dtype=np.float32)
