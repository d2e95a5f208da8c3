"""Partial observation: sensors with noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from velora.core.errors import SettingError
from velora.core.types import Array
from velora.envs.wrappers.parts import chance, flat_box
from velora.envs.wrappers.registry import register


@register("noise", place=30)
class NoisyObservation(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Add Gaussian noise to every observation, independent from step to step and from component to component.

    Args:
        env: the environment, with a flat box of observations.
        std: deviation of the noise, in the observation's units: one for all components, or one for each.

    Raises:
        SettingError: if a deviation is negative or not finite, or there aren't as many as components.
        SpaceError: if the observations are no flat box.
    """

    def __init__(self, env: gym.Env[Any, Any], std: float | Sequence[float]) -> None:
        seen = flat_box(env, "NoisyObservation")
        self._std = _checked(std, seen.shape[0])
        gym.utils.RecordConstructorArgs.__init__(self, std=self._std.tolist())
        gym.Wrapper.__init__(self, env)
        self._dtype = seen.dtype if np.issubdtype(seen.dtype, np.floating) else np.dtype(np.float32)
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, seen.shape, self._dtype.type)
        self._generator: np.random.Generator | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Begin an episode; ``seed`` decides its noise."""
        self._generator = chance(self._generator, seed, "NoisyObservation")
        obs, info = self.env.reset(seed=seed, options=options)
        return self._blurred(obs), info

    def step(self, action: Any) -> tuple[Array, Any, bool, bool, dict[str, Any]]:
        """Step, and see the answer through noise."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        return self._blurred(obs), reward, terminated, truncated, info

    @np.errstate(all="ignore")
    def _blurred(self, obs: Any) -> Array:
        assert self._generator is not None
        noise = self._std * self._generator.standard_normal(self.observation_space.shape)
        blurred: Array = (obs + noise).astype(self._dtype)
        return blurred


def _checked(std: Any, size: int) -> Array:
    try:
        values = np.asarray(std, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.array(np.nan)
    if isinstance(std, bool) or values.shape not in ((), (size,)) or not (np.isfinite(values) & (values >= 0.0)).all():
        raise SettingError(
            f"std: expected a deviation of at least 0, or one for each of {size} components, got {std!r}"
        )
    return values
