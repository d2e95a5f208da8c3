"""Partial observation: sensors that fail from time to time."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from velora.core.errors import SettingError
from velora.core.types import Array
from velora.envs.wrappers.parts import chance, flat_box
from velora.envs.wrappers.registry import register


@register("flicker", place=40)
class Flicker(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Show zeros instead of the whole observation, at every step with the same probability.

    Args:
        env: the environment, with a flat box of observations.
        probability: of seeing nothing, in [0, 1].

    Raises:
        SettingError: if the probability isn't one.
        SpaceError: if the observations are no flat box.

    Source:
        Hausknecht & Stone 2015 (arXiv 1507.06527), section 5, where it is 0.5.
    """

    def __init__(self, env: gym.Env[Any, Any], probability: float = 0.5) -> None:
        if isinstance(probability, bool) or not isinstance(probability, int | float) or not 0.0 <= probability <= 1.0:
            raise SettingError(f"probability: expected a number from 0 to 1, got {probability!r}")
        seen = flat_box(env, "Flicker")
        self._probability = float(probability)
        gym.utils.RecordConstructorArgs.__init__(self, probability=self._probability)
        gym.Wrapper.__init__(self, env)
        low, high = np.minimum(seen.low, 0), np.maximum(seen.high, 0)
        self.observation_space = gym.spaces.Box(low, high, dtype=seen.dtype.type)
        self._generator: np.random.Generator | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Begin an episode; ``seed`` decides when the sensors fail, at its first observation too."""
        self._generator = chance(self._generator, seed, "Flicker")
        obs, info = self.env.reset(seed=seed, options=options)
        return self._shown(obs), info

    def step(self, action: Any) -> tuple[Array, Any, bool, bool, dict[str, Any]]:
        """Step, and see the answer or nothing."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        return self._shown(obs), reward, terminated, truncated, info

    def _shown(self, obs: Array) -> Array:
        assert self._generator is not None
        return np.zeros_like(obs) if self._generator.random() < self._probability else obs
