"""The clock that the loop goes by, and a virtual one for tests and experiments."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

SECOND = 1_000_000_000
"""Nanoseconds."""
SPIN_US = 200
"""Microseconds before a deadline at which the loop stops sleeping: longer than Linux usually oversleeps."""


class LoopClock(Protocol):
    """Clock of a loop, in nanoseconds."""

    def now(self) -> int:
        """Return the time."""
        ...

    def wait_until(self, due_ns: int) -> None:
        """Return at this time, or at once if it has passed."""
        ...


class SystemClock:
    """The system's monotonic clock: sleep for most of a wait, and look at the clock again and again for the rest.

    Args:
        spin_us: microseconds of the rest; 0 only sleeps.
    """

    def __init__(self, spin_us: float = SPIN_US) -> None:
        self._spin_ns = int(spin_us * 1_000)

    now = staticmethod(time.monotonic_ns)

    def wait_until(self, due_ns: int) -> None:
        """Return at this time; every wait is measured from the clock anew, so that no error adds up."""
        left = due_ns - time.monotonic_ns()
        if left > self._spin_ns:
            time.sleep((left - self._spin_ns) / SECOND)
        while time.monotonic_ns() < due_ns:
            pass


class VirtualClock:
    """A clock that jumps to where it is told to: hours of driving in seconds, the same in every run.

    Args:
        lateness: called at every wait; returns by how many nanoseconds it ends too late.
    """

    def __init__(self, lateness: Callable[[], int] = lambda: 0) -> None:
        self._now, self._lateness = 0, lateness

    def now(self) -> int:
        """Return the time."""
        return self._now

    def advance(self, ns: int) -> None:
        """Let time pass, as a computation does."""
        self._now += ns

    def wait_until(self, due_ns: int) -> None:
        """Jump to this time, and on by what ``lateness`` says."""
        self._now = max(self._now, due_ns) + self._lateness()
