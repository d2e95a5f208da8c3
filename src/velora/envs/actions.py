"""How the actions of agents map to those of environments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from velora.core.errors import NonFiniteError, SpaceError

HUGE = 1e30
"""Bounds beyond this stand for "unbounded" and can't be scaled to in float32."""


class ActionUnits(Protocol):
    """Map an agent's actions to those of an environment, which a checkpoint keeps."""

    def to_environment(self, action: NDArray[Any]) -> NDArray[Any]:
        """Turn actions (..., A) into what the environment takes."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return the units as JSON, for the environment's part of a checkpoint."""
        ...

    def read(self, info: dict[str, Any]) -> Self:
        """Take out of ``info`` what :meth:`describe` put there, for an agent of the same kind and size of actions.

        Raises:
            SpaceError: if that is missing or doesn't fit.
        """
        ...


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
            returns: (..., A) in [low, high], also where these are no numbers of float32.
        """
        low, high, half, one = self._filled.get(action.shape) or self._fill(action.shape)
        scaled: NDArray[np.float32] = low + (np.asarray(action, np.float32) + one) * half
        # Not np.clip, and no memory given for the result: on arrays this small either costs several times as much.
        return np.minimum(np.maximum(scaled, low), high)

    def describe(self) -> dict[str, Any]:
        """See :class:`ActionUnits`."""
        return {"action_low": list(self.low), "action_high": list(self.high)}

    def read(self, info: dict[str, Any]) -> ActionBounds:
        """See :class:`ActionUnits`."""
        size = len(self.low)
        low, high = (info.pop(name, None) for name in ("action_low", "action_high"))
        if _are_bounds(low, size) and _are_bounds(high, size):
            read = ActionBounds(tuple(map(float, low)), tuple(map(float, high)))
            if read.has_room:
                return read
        raise SpaceError(f"expected {size} action bounds, low below high")

    @property
    def has_room(self) -> bool:
        """Return whether float32 has numbers between the bounds of every action."""
        low, high, _ = self.arrays
        return bool((low < high).all())

    @cached_property
    def _filled(self) -> dict[tuple[int, ...], tuple[NDArray[np.float32], ...]]:
        """The numbers of :meth:`to_environment` for each shape of actions: broadcasting costs three times as much."""
        return {}

    def _fill(self, shape: tuple[int, ...]) -> tuple[NDArray[np.float32], ...]:
        numbers = (*self.arrays, np.float32(1.0))
        filled = tuple(np.array(np.broadcast_to(each, shape)) for each in numbers)
        if len(self._filled) < 8:  # of a run there are two: in training and in evaluation
            self._filled[shape] = filled
        return filled

    @cached_property
    def arrays(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Low, high and half their distance in float32, (A,) each: rounded inwards, since to the nearest they might lie
        outside of the environment's.
        """
        low, high = (np.asarray(bounds, np.float64) for bounds in (self.low, self.high))
        least, most = low.astype(np.float32), high.astype(np.float32)
        least = np.where(least < low, np.nextafter(least, np.float32(np.inf)), least)
        most = np.where(most > high, np.nextafter(most, np.float32(-np.inf)), most)
        return least, most, np.float32(0.5) * (most - least)


def _are_bounds(values: Any, size: int) -> bool:
    """Return whether these are as many finite numbers, as JSON has them."""
    if not isinstance(values, list) or len(values) != size:
        return False
    return all(type(value) in (int, float) and abs(value) < HUGE for value in values)


@dataclass(frozen=True)
class DiscreteActions:
    """Number the actions of an environment that has ``n`` of them; its own numbers begin at ``first``."""

    n: int
    first: int = 0

    def to_environment(self, action: NDArray[Any]) -> NDArray[np.int64]:
        """Turn numbers from 0 on into the environment's.

        Shapes:
            action: (..., 1).
            returns: (...).

        Raises:
            NonFiniteError: if one isn't finite.
        """
        if not np.isfinite(action).all():
            raise NonFiniteError(f"policy: gave the action {action.ravel()}; its weights or its input have diverged")
        numbers: NDArray[np.int64] = action[..., 0].astype(np.int64) + self.first
        return numbers

    def describe(self) -> dict[str, Any]:
        """See :class:`ActionUnits`."""
        return {"n_actions": self.n, "first_action": self.first}

    def read(self, info: dict[str, Any]) -> DiscreteActions:
        """See :class:`ActionUnits`."""
        n, first = info.pop("n_actions", None), info.pop("first_action", None)
        if type(n) is not int or type(first) is not int or n != self.n:
            raise SpaceError(f"expected {self.n} discrete actions, got n_actions={n!r} and first_action={first!r}")
        return DiscreteActions(n, first)


def default_units(action_dim: int, *, discrete: bool) -> ActionUnits:
    """Make the units of an agent that no environment has told its own yet."""
    return DiscreteActions(action_dim) if discrete else ActionBounds.unit(action_dim)
