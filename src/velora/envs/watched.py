"""Look at an environment from inside of what others put around it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray


class Watched(gym.Wrapper[Any, Any, Any, Any]):
    """Keep the newest observation of an environment for who sees more than the agent, such as a teacher.

    Wrappers that are put around this one change what the agent sees, and not ``newest``: noise, masks and delays are
    theirs. It changes nothing itself, so that a checkpoint doesn't name it.

    Args:
        env: the environment, with flat observations.

    Attributes:
        newest: the observation after the newest reset or step, (O,), float32, a copy.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        shape = env.observation_space.shape or ()
        self.newest: NDArray[np.float32] = np.zeros(shape, np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        obs, info = self.env.reset(seed=seed, options=options)
        self.newest = np.array(obs, np.float32)
        return obs, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        self.newest = np.array(obs, np.float32)
        return obs, reward, terminated, truncated, info


def find_watched(env: gym.Env[Any, Any]) -> Watched | None:
    """Return the innermost place where an environment is watched; ``None`` if there is none."""
    found = None
    while isinstance(env, gym.Wrapper):
        found = env if isinstance(env, Watched) else found
        env = env.env
    return found
