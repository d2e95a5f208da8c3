"""Partial observation: components that are not seen at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from velora.core.errors import SettingError, SpaceError
from velora.core.types import Array
from velora.envs.wrappers.parts import flat_box
from velora.envs.wrappers.registry import register

VELOCITIES: dict[str, tuple[int, Sequence[int]]] = {
    "Acrobot": (6, (4, 5)),
    "CartPole": (4, (1, 3)),
    "Pendulum": (3, (2,)),
    "MountainCar": (2, (1,)),
    "MountainCarContinuous": (2, (1,)),
    "LunarLander": (8, (2, 3, 5)),
    "LunarLanderContinuous": (8, (2, 3, 5)),
    "InvertedPendulum": (4, (2, 3)),
    "InvertedDoublePendulum": (9, (5, 6, 7)),
    "HalfCheetah": (17, range(8, 17)),
    "Hopper": (11, range(5, 11)),
    "Walker2d": (17, range(8, 17)),
    "Ant": (105, range(13, 27)),
    "Swimmer": (8, range(3, 8)),
    "Reacher": (10, (6, 7)),
    "Pusher": (23, range(7, 14)),
    "Humanoid": (348, (*range(22, 45), *range(175, 253))),
    "HumanoidStandup": (348, (*range(22, 45), *range(175, 253))),
}
"""Numbers in an observation, and which of them are velocities, by the name of the environment without its version."""


@register("mask", place=20)
class DropObservation(gym.ObservationWrapper[Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Drop components of the observation: they aren't set to zero, they are gone, and ``state_dim`` is smaller.

    ``drop="velocity"`` drops the velocities of an environment whose observations are known: Gymnasium's classic
    control, LunarLander and LunarLanderContinuous, and the MuJoCo tasks (v5), of Humanoid and HumanoidStandup those of
    the joints and of the bodies. Contact, constraint and actuator forces stay.

    Args:
        env: the environment, with a flat box of observations.
        drop: ``"velocity"``, or the positions to drop, counted from 0.

    Attributes:
        kept: positions of what is still seen, counted from 0.

    Raises:
        SettingError: if a position isn't there, everything would be dropped, or nothing is known about the velocities.
        SpaceError: if the observations are no flat box.

    Example:
        >>> DropObservation(gym.make("Pendulum-v1"), "velocity").observation_space.shape
        (2,)

    Source:
        The observation tables of Gymnasium's documentation.
    """

    def __init__(self, env: gym.Env[Any, Any], drop: str | Sequence[int]) -> None:
        seen = flat_box(env, "DropObservation")
        dropped = _velocities(env, drop, seen.shape[0]) if isinstance(drop, str) else _checked(drop, seen.shape[0])
        recorded = drop if isinstance(drop, str) else dropped
        gym.utils.RecordConstructorArgs.__init__(self, drop=recorded)
        gym.ObservationWrapper.__init__(self, env)
        self.kept = np.setdiff1d(np.arange(seen.shape[0]), dropped)
        low, high = seen.low[self.kept], seen.high[self.kept]
        self.observation_space = gym.spaces.Box(low, high, dtype=seen.dtype.type)

    def observation(self, observation: Array) -> Array:
        """Leave the components out."""
        kept: Array = observation[self.kept]
        return kept


def _velocities(env: gym.Env[Any, Any], preset: str, size: int) -> list[int]:
    if preset != "velocity":
        raise SettingError(f"drop: expected velocity or a list of positions such as [2], got {preset!r}")
    known = env.unwrapped.spec
    name = known.name if known else type(env.unwrapped).__name__
    if name not in VELOCITIES:
        raise SettingError(
            f"drop: the velocities of {name} aren't known, only those of {', '.join(VELOCITIES)}; give the positions "
            "to drop, such as [2]"
        )
    expected, velocities = VELOCITIES[name]
    if size != expected:
        raise SpaceError(
            f"drop: the velocities of {name} are known for observations of {expected} numbers, these have {size}; give "
            "the positions to drop"
        )
    return list(velocities)


def _checked(drop: Any, size: int) -> list[int]:
    try:
        positions = list(drop)
    except TypeError:
        positions = []
    fits = [isinstance(n, int | np.integer) and not isinstance(n, bool) and 0 <= n < size for n in positions]
    if not positions or not all(fits) or len(set(positions)) >= size:
        raise SettingError(
            f"drop: expected velocity, or a list of positions from 0 to {size - 1}, but not all of them, got {drop!r}"
        )
    return sorted({int(n) for n in positions})
