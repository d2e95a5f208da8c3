"""The watchdog: the safe action when deadlines are missed, readings stay away, or the loop itself is stuck."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from numpy.typing import NDArray

from velora.core.errors import PlantError
from velora.drive.clock import SECOND
from velora.drive.plant import Plant
from velora.drive.settings import DriveSettings

log = logging.getLogger(__name__)


class Watchdog:
    """Counts misses in a row and the time without a reading, from within the loop.

    Attributes:
        reason: why it has tripped; empty while it has not.
    """

    def __init__(self, settings: DriveSettings, start_ns: int) -> None:
        self._most, self._silent_s = settings.misses, settings.silent_s
        self._silent_ns = int(settings.silent_s * SECOND)
        self._in_a_row, self._heard_ns = 0, start_ns
        self.reason = ""

    def hear(self, now_ns: int) -> None:
        """Note that a reading came."""
        self._heard_ns = now_ns

    def count(self, misses: int) -> None:
        """Note how many deadlines a tick missed: its own, and those of the ticks that it skipped."""
        self._in_a_row = self._in_a_row + misses if misses else 0
        if self._in_a_row >= self._most and not self.reason:
            self.reason = (
                f"{self._in_a_row} deadlines in a row were missed; lower the rate, see to it that the plant's "
                "methods don't wait, or take what computes faster (policy=c, loop=c)"
            )

    def look(self, now_ns: int) -> None:
        """Trip if nothing was heard for too long."""
        if now_ns - self._heard_ns > self._silent_ns and not self.reason:
            self.reason = f"the plant gave no reading for {self._silent_s:g} s; look at its power and its connection"

    @property
    def is_well(self) -> bool:
        """Return whether the newest tick kept its deadline."""
        return self._in_a_row == 0

    def restart(self, now_ns: int) -> None:
        """Watch as at the beginning."""
        self._in_a_row, self._heard_ns, self.reason = 0, now_ns, ""


class StuckLoop:
    """A thread that writes the safe action when the loop hasn't begun a tick for ``silent_s``.

    That happens where a plant's ``read`` or ``write``, or the policy, doesn't return. The loop ends as soon as it
    does.

    Attributes:
        beat: the time of the loop's newest tick, which the loop sets.
        is_stuck: whether the safe action was written for this reason.
    """

    def __init__(self, plant: Plant, safe: NDArray[Any], settings: DriveSettings) -> None:
        self._plant, self._safe, self._silent_s = plant, safe, settings.silent_s
        self._after_ns = int((settings.silent_s + 1.0 / settings.rate) * SECOND)
        self._every_s = settings.silent_s / 4.0
        self._ended = threading.Event()
        self.beat, self.is_stuck = time.monotonic_ns(), False
        self._thread = threading.Thread(target=self._watch, name="velora-watchdog", daemon=True)

    @property
    def problem(self) -> str:
        """Why the drive ends then."""
        return f"the loop was stuck for more than {self._silent_s:g} s in one tick; read, write and act must not wait"

    def start(self) -> None:
        """Begin to watch."""
        self.beat = time.monotonic_ns()
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self._every_s):
            if time.monotonic_ns() - self.beat > self._after_ns and not self.is_stuck:
                self.is_stuck = True
                try:
                    self._plant.write(self._safe)
                except PlantError as error:
                    log.error("watchdog: the safe action couldn't be written: %s", error)
