"""Which spaces an agent of continuous control serves, and how its actions map to them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from velora.core.errors import SpaceError

HUGE = 1e30
"""Bounds beyond this stand for "unbounded" and can't be scaled to in float32."""


@dataclass(frozen=True)
class ActionBounds:
    """Map normalised actions in [-1, 1] to the environment's units and back.

    Shapes:
        low, high: (A,).
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def unit(cls, action_dim: int) -> ActionBounds:
        """Make the bounds of an agent that no environment has told its units yet."""
        return cls((-1.0,) * action_dim, (1.0,) * action_dim)

    def to_environment(self, action: NDArray[Any]) -> NDArray[np.float32]:
        """Rescale normalised actions.

        Shapes:
            action: (..., A) in [-1, 1].
            returns: (..., A) in [low, high].
        """
        low, high, half = self._arrays
        scaled: NDArray[np.float32] = low + (np.asarray(action, np.float32) + np.float32(1.0)) * half
        # Not np.clip, which costs several times as much on arrays this small.
        return np.minimum(np.maximum(scaled, low), high)

    @cached_property
    def _arrays(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        low, high = np.asarray(self.low, np.float32), np.asarray(self.high, np.float32)
        return low, high, np.float32(0.5) * (high - low)


def check_spaces(env: gym.Env[Any, Any], *, state_dim: int, action_dim: int) -> ActionBounds:
    """Return the action bounds of an environment that the agent fits.

    Raises:
        SpaceError: if observations aren't a flat box of ``state_dim`` numbers, or actions aren't a flat bounded box of
            ``action_dim`` numbers.
    """
    name = env.spec.id if env.spec else type(env.unwrapped).__name__
    seen, acted = env.observation_space, env.action_space
    if not isinstance(seen, gym.spaces.Box) or len(seen.shape) != 1:
        raise SpaceError(
            f"{name}: expected a flat box of observations, got {seen}; "
            "wrap the environment with gymnasium.wrappers.FlattenObservation"
        )
    if seen.shape[0] != state_dim:
        raise SpaceError(f"{name}: observations have {seen.shape[0]} numbers, the agent expects state_dim={state_dim}")
    if not isinstance(acted, gym.spaces.Box) or len(acted.shape) != 1:
        raise SpaceError(f"{name}: expected continuous actions (a flat Box), got {acted}; choose another environment")
    if acted.shape[0] != action_dim:
        raise SpaceError(f"{name}: actions have {acted.shape[0]} numbers, the agent gives action_dim={action_dim}")
    largest = max(np.abs(acted.low).max(), np.abs(acted.high).max())
    if not (largest < HUGE and (acted.low < acted.high).all()):
        raise SpaceError(
            f"{name}: expected actions with finite bounds, got {acted}; "
            "bound them with gymnasium.wrappers.RescaleAction or TransformAction"
        )
    return ActionBounds(tuple(map(float, acted.low)), tuple(map(float, acted.high)))
