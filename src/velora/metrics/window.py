"""A moving window over episode returns that knows how full it is."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from velora.core.errors import SettingError
from velora.core.types import WindowStats


class MovingWindow:
    """Keep the last ``size`` values and summarise only those that are really there.

    Example:
        >>> window = MovingWindow(100)
        >>> window.add(-150.0)
        >>> window.stats().mean, window.stats().is_full
        (-150.0, False)
    """

    def __init__(self, size: int) -> None:
        """Make an empty window.

        Args:
            size: how many values it holds, >= 1.

        Raises:
            SettingError: if ``size`` isn't a whole number >= 1.
        """
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise SettingError(f"window_size: expected a whole number >= 1, got {size!r}")
        self._values: deque[float] = deque(maxlen=size)
        self.size = size

    def __len__(self) -> int:
        """Return how many values are in the window."""
        return len(self._values)

    @property
    def is_full(self) -> bool:
        """Return whether as many values were added as the window holds."""
        return len(self._values) == self.size

    @property
    def values(self) -> tuple[float, ...]:
        """The values in the window, oldest first."""
        return tuple(self._values)

    def add(self, value: float) -> None:
        """Add a value; the oldest leaves a full window."""
        self._values.append(float(value))

    def stats(self) -> WindowStats:
        """Summarise the window; every number of an empty one is NaN. ``std`` is the population's (divides by n)."""
        if not self._values:
            return WindowStats(size=self.size, count=0, mean=math.nan, std=math.nan, max=math.nan)
        values = np.array(self._values, dtype=np.float64)
        with np.errstate(all="ignore"):  # an infinite return gives infinite or NaN statistics, not a warning
            mean, std, top = float(values.mean()), float(values.std()), float(values.max())
        return WindowStats(size=self.size, count=len(values), mean=mean, std=std, max=top)

    def state_dict(self) -> dict[str, Any]:
        """Return the content as JSON values; numbers that JSON doesn't know (NaN, infinities) become strings."""
        return {"size": self.size, "values": [v if math.isfinite(v) else str(v) for v in self._values]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned, bit for bit.

        A window of another size keeps its own size and takes the newest values that fit.

        Raises:
            SettingError: if ``state`` isn't a window's state.
        """
        try:
            values = [float(value) for value in state["values"]]
        except (KeyError, TypeError, ValueError) as error:
            raise SettingError(f"window state: expected the list 'values' of numbers, got {state!r}") from error
        self._values = deque(values, maxlen=self.size)
