"""Observations of any space of numbers as one vector, each part checked before it is laid out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from velora.core.errors import SpaceError
from velora.envs.answers import shown


class Flattened(gym.wrappers.FlattenObservation[Any, Any, Any]):
    """Gymnasium's ``FlattenObservation`` for observations that may be wrong.

    Gymnasium lays out whatever it is given: of another shape, read from text, or with -1 for the last of several
    values. Here that is one line.
    """

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Begin an episode.

        Raises:
            SpaceError: if the observation isn't one of the environment's space.
        """
        obs, info = self.env.reset(seed=seed, options=options)
        return self._laid_out(obs, "reset"), info

    def step(self, action: Any) -> Any:
        """Step; the observation is checked as that of a reset."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        return self._laid_out(obs, "step"), reward, terminated, truncated, info

    def _laid_out(self, obs: Any, call: str) -> Any:
        if fault := _fault(self.env.observation_space, obs, "an observation"):
            raise SpaceError(f"env: {call}: {fault}")
        return self.observation(obs)


def _fault(space: gym.Space[Any], given: Any, of: str) -> str | None:
    """Say in what a part of an observation isn't of its space; ``None`` if it is."""
    if isinstance(space, spaces.Dict):
        return _fault_of_dict(space, given, of)
    if isinstance(space, spaces.Tuple):
        if not isinstance(given, Sequence | np.ndarray) or isinstance(given, str) or len(given) != len(space.spaces):
            return f"expected {len(space.spaces)} parts in {of}, got {shown(given)}"
        parts = enumerate(zip(space.spaces, given, strict=True))
        return next(filter(None, (_fault(one, part, f"{of}[{at}]") for at, (one, part) in parts)), None)
    numbers = _numbers(given)
    if numbers is None:
        return f"expected numbers as {of}, got {shown(given)}"
    if isinstance(space, spaces.Discrete):
        least, n = int(space.start), int(space.n)
        if numbers.dtype.kind not in "biu" or numbers.size != 1 or not least <= int(numbers.ravel()[0]) < least + n:
            return f"expected a whole number from {least} to {least + n - 1} as {of}, got {shown(given)}"
        return None
    if numbers.shape != space.shape:
        return f"expected {of} of the shape {space.shape}, got the shape {numbers.shape}: {shown(given)}"
    if isinstance(space, spaces.MultiDiscrete):
        counted = numbers.astype(np.int64) - space.start
        if numbers.dtype.kind not in "biu" or not ((counted >= 0) & (counted < space.nvec)).all():
            return f"expected whole numbers of {space} as {of}, got {shown(given)}"
    if isinstance(space, spaces.MultiBinary) and not np.isin(numbers, (0, 1)).all():
        return f"expected zeros and ones as {of}, got {shown(given)}"
    return None


def _fault_of_dict(space: spaces.Dict, given: Any, of: str) -> str | None:
    if not isinstance(given, Mapping):
        return f"expected a dict as {of}, got {shown(given)}"
    for key, one in space.spaces.items():
        if key not in given:
            return f"expected {key!r} in {of}, got only {shown(list(given))}"
        if fault := _fault(one, given[key], f"{of}[{key!r}]"):
            return fault
    return None


def _numbers(given: Any) -> np.ndarray[Any, Any] | None:
    """Return an array of numbers, or ``None`` if it is none."""
    try:
        found = np.asarray(given)
    except Exception:  # noqa: BLE001 - whatever it is, it is no array of numbers
        return None
    return found if found.dtype.kind in "biuf" else None
