"""Functions that the wrappers share."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from velora.core import seeding
from velora.core.errors import SpaceError


def flat_box(env: gym.Env[Any, Any], wrapper: str) -> gym.spaces.Box:
    """Return the observation space of an environment, a flat box.

    Raises:
        SpaceError: if it is anything else.
    """
    seen = env.observation_space
    if not isinstance(seen, gym.spaces.Box) or len(seen.shape) != 1:
        raise SpaceError(
            f"{wrapper}: expected a flat box of observations, got {' '.join(str(seen).split())}; "
            "make the environment flat with velora.envs.flattened first"
        )
    return seen


def chance(before: np.random.Generator | None, seed: int | None, wrapper: str) -> np.random.Generator:
    """Return the generator of an episode: the reset seed alone decides it; without one, the generator goes on.

    Args:
        before: the generator so far.
        seed: what ``reset`` was given.
        wrapper: whose it is, so that two kinds of wrapper don't draw the same numbers.
    """
    if seed is not None:
        return seeding.generator(seed, wrapper)
    return np.random.default_rng() if before is None else before
