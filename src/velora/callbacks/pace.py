"""How fast a run goes, and how long it will still take."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple


class _Mark(NamedTuple):
    time_s: float
    step: int
    episode: int


class Pace:
    """Measure steps and episodes per second over the last while, as the pace changes (warm-up is much faster)."""

    def __init__(self, *, horizon_s: float = 30.0) -> None:
        """Start empty.

        Args:
            horizon_s: how far back to look, in seconds.
        """
        self._horizon_s = horizon_s
        self._marks: deque[_Mark] = deque()

    def restart(self) -> None:
        """Forget what was measured: from here on the pace is another."""
        self._marks.clear()

    def mark(self, time_s: float, step: int, episode: int) -> None:
        """Note how far the run is at a time of a steady clock, in seconds."""
        self._marks.append(_Mark(time_s, step, episode))
        while len(self._marks) > 2 and self._marks[1].time_s <= time_s - self._horizon_s:
            self._marks.popleft()

    @property
    def steps_per_second(self) -> float | None:
        """Environment steps per second, or None while there is too little to tell."""
        return self._rates()[0] or None

    def seconds_left(self, *, n_episodes: int | None, n_steps: int | None) -> float | None:
        """Estimate the time to the end of the run: whichever budget is used up first.

        Returns:
            Seconds, or None while there is too little to tell.
        """
        if not self._marks:
            return None
        steps_per_s, episodes_per_s = self._rates()
        now = self._marks[-1]
        budgets = ((n_steps, now.step, steps_per_s), (n_episodes, now.episode, episodes_per_s))
        left = [max(0, budget - done) / rate for budget, done, rate in budgets if budget is not None and rate]
        return min(left, default=None)

    def _rates(self) -> tuple[float | None, float | None]:
        """Return steps and episodes per second."""
        if len(self._marks) < 2 or self._marks[-1].time_s <= self._marks[0].time_s:
            return None, None
        first, last = self._marks[0], self._marks[-1]
        seconds = last.time_s - first.time_s
        return (last.step - first.step) / seconds, (last.episode - first.episode) / seconds
