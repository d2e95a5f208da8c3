"""When a run is saved by the clock: of each seed, how long ago the newest checkpoint was written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from velora.core.errors import SettingError

FIRST_S = 60.0
"""Seconds from the start, or from a save that failed, after which the next comes at the latest."""


class SaveClock:
    """Clock of the saves by time: which seeds were not saved for too long. Times are a monotonic clock's, in seconds.

    Attributes:
        alarm: the time before which :meth:`due` has nothing to say.

    Raises:
        SettingError: if the minutes are neither above 0 nor ``None``.

    Example:
        >>> clock = SaveClock(minutes=10)
        >>> clock.start({0: 0}, now=1000.0)
        >>> clock.alarm, clock.due({0: 500}, now=1030.0), clock.due({0: 1000}, now=1060.0)
        (1060.0, [], [0])
    """

    def __init__(self, minutes: float | None) -> None:
        is_number = isinstance(minutes, int | float) and not isinstance(minutes, bool)
        if minutes is not None and not (is_number and 0 < minutes < math.inf):
            raise SettingError(f"save_checkpoints.minutes: expected a number above 0 or None, got {minutes!r}")
        self._period_s = math.inf if minutes is None else 60.0 * minutes
        self._next: dict[int, float] = {}
        self._step: dict[int, int] = {}
        self.alarm = math.inf

    def start(self, steps: Mapping[int, int], now: float) -> None:
        """Begin with every seed at a step, as a fresh run and a resumed one do."""
        self._step = dict(steps)
        self._set(steps, now + min(self._period_s, FIRST_S))

    def due(self, steps: Mapping[int, int], now: float, *, is_asked: bool = False) -> list[int]:
        """List the seeds that it is time to save, or that moved on since they were saved if somebody asks."""
        found = [k for k, step in steps.items() if (is_asked or now >= self._next[k]) and step != self._step[k]]
        self._set([k for k in steps if now >= self._next[k]], now + self._period_s)
        return found

    def saved(self, seed_index: int, step: int, now: float) -> None:
        """Note that a seed was saved at a step."""
        self._step[seed_index] = step
        self._set([seed_index], now + self._period_s)

    def failed(self, seed_index: int, now: float) -> None:
        """Note that a seed could not be saved."""
        self._step[seed_index] = -1
        self._set([seed_index], now + min(self._period_s, FIRST_S))

    def _set(self, seeds: Iterable[int], time_s: float) -> None:
        self._next.update(dict.fromkeys(seeds, time_s if self._period_s < math.inf else math.inf))
        self.alarm = min(self._next.values(), default=math.inf)
