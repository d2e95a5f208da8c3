"""Privileged observations: the observation as it is before wrappers around this one hide something of it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from velora.core.types import Array
from velora.envs.wrappers.parts import flat_box
from velora.envs.wrappers.registry import register


@register("privileged", place=15, switch="state")
class PrivilegedState(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Give the whole observation as ``info["state"]`` too, whatever wrappers around this one hide of it.

    The critics of an agent with the setting ``privileged`` read it in training. The policy never does, so that it needs
    none of it where it acts. What the environment itself gives under that name is replaced.

    Args:
        env: the environment, with a flat box of observations.

    Attributes:
        privileged_size: numbers in ``info["state"]`` (P).

    Raises:
        SpaceError: if the observations are no flat box.

    Example:
        >>> from velora.envs.wrappers import DropObservation
        >>> env = DropObservation(PrivilegedState(gym.make("Pendulum-v1")), "velocity")
        >>> obs, info = env.reset(seed=0)
        >>> obs.shape, info["state"].shape
        ((2,), (3,))
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        self.privileged_size = int(flat_box(env, "PrivilegedState").shape[0])
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        obs, info = self.env.reset(seed=seed, options=options)
        return obs, self._with_state(info, obs)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, and see the answer twice."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        return obs, reward, terminated, truncated, self._with_state(info, obs)

    @staticmethod
    def _with_state(info: dict[str, Any], obs: Array) -> dict[str, Any]:
        return {**info, "state": np.array(obs)}  # a copy: an environment may write into its observation
