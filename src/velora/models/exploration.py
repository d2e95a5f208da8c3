"""How an agent tries things: random warm-up, then temporally correlated noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.core import seeding
from velora.ops.noise import correlated_noise


class Exploration:
    """Draw warm-up actions and exploration noise, each seed and each purpose from a generator of its own.

    Shapes:
        noise: (S, A), the process of each seed, back at zero when its episode begins.
    """

    def __init__(self, seeds: Sequence[int], action_dim: int, *, std: float, correlation: float) -> None:
        self._std, self._correlation = std, correlation
        self._warmup = [seeding.generator(seed, "warmup") for seed in seeds]
        self._normal = [seeding.generator(seed, "exploration") for seed in seeds]
        self.noise: NDArray[np.float32] = np.zeros((len(seeds), action_dim), dtype=np.float32)

    def begin_episode(self, seed_index: int) -> None:
        """Forget the noise of the episode before."""
        self.noise[seed_index] = 0.0

    def random_actions(self) -> NDArray[np.float32]:
        """Draw uniform actions.

        Shapes:
            returns: (S, A) in [-1, 1].
        """
        size = self.noise.shape[1]
        return np.stack([g.uniform(-1.0, 1.0, size) for g in self._warmup]).astype(np.float32)

    def perturb(self, actions: NDArray[np.float32]) -> NDArray[np.float32]:
        """Add the next noise to policy actions.

        Shapes:
            actions, returns: (S, A) in [-1, 1].
        """
        size = self.noise.shape[1]
        normal = np.stack([g.standard_normal(size) for g in self._normal])
        self.noise = correlated_noise(self.noise, normal, std=self._std, correlation=self._correlation)
        perturbed: NDArray[np.float32] = np.clip(actions + self.noise, -1.0, 1.0)
        return perturbed

    def generators(self, seed_index: int) -> dict[str, np.random.Generator]:
        """Name the generators of one seed."""
        return {"warmup": self._warmup[seed_index], "exploration": self._normal[seed_index]}

    def state_dict(self, seed_index: int) -> dict[str, Any]:
        """Return the noise of one seed."""
        return {"noise": self.noise[seed_index].tolist()}

    def load_state_dict(self, state: Mapping[str, Any], seed_index: int = 0) -> None:
        """Take over the saved noise of one seed."""
        self.noise[seed_index] = np.asarray(state["noise"], dtype=np.float32)
