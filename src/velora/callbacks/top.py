"""The best evaluations of every seed, as many as are to be kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from velora.core.errors import SettingError


class Top:
    """Keep which evaluations of each seed were the best, by their mean and their step; of equal ones the earlier.

    Args:
        keep: how many.

    Example:
        >>> top = Top(2)
        >>> [top.add(0, mean, step) for step, mean in ((10, 1.0), (20, 3.0), (30, 0.0), (40, 2.0))]
        [True, True, False, True]
        >>> top.steps(0)
        [20, 40]
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._of: dict[int, list[tuple[float, int]]] = {}

    def add(self, seed: int, mean: float, step: int) -> bool:
        """Add an evaluation; return whether it is among the best, which one that isn't finite never is."""
        if not math.isfinite(mean):
            return False
        found = sorted({*self._of.get(seed, ()), (mean, step)}, key=lambda one: (-one[0], one[1]))[: self._keep]
        self._of[seed] = found
        return (mean, step) in found

    def drop(self, seed: int, step: int) -> None:
        """Count an evaluation no longer, since its agent could not be saved."""
        self._of[seed] = [one for one in self._of.get(seed, ()) if one[1] != step]

    def steps(self, seed: int) -> list[int]:
        """List the steps of the best, the best first."""
        return [step for _, step in self._of.get(seed, ())]

    def state(self, seed: int) -> list[list[float]]:
        """Return those of a seed as numbers."""
        return [[mean, step] for mean, step in self._of.get(seed, ())]

    def load(self, seed: int, state: Mapping[str, Any]) -> None:
        """Take them back, as ``"top"``; a run that kept none before has none.

        Raises:
            SettingError: if they are something else.
        """
        found: list[tuple[float, int]] = []
        for one in state.get("top", []):
            match one:
                case [int() | float() as mean, int() as step] if math.isfinite(mean) and step >= 0:
                    found.append((float(mean), step))
                case _:
                    raise SettingError(
                        "save_checkpoints: expected pairs of mean and step in 'top', found another state"
                    )
        self._of[seed] = found[: self._keep]
