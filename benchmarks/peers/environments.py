"""Environments of the learning benchmark, made alike for us and for the peers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np


def make(env_id: str, keep: Sequence[int] | None = None) -> gym.Env[Any, Any]:
    """Make an environment that shows only the numbers at these positions of its observation; ``None`` shows all."""
    env = gym.make(env_id)
    if keep is None:
        return env
    where, space = list(keep), env.observation_space
    assert isinstance(space, gym.spaces.Box)
    shown = gym.spaces.Box(space.low[where], space.high[where], dtype=np.float32)
    return gym.wrappers.TransformObservation(env, lambda obs: np.asarray(obs, np.float32)[where], shown)
