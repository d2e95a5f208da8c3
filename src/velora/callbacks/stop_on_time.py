"""Stop when the time is up."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from velora.callbacks.base import Callback
from velora.core.errors import SettingError
from velora.core.protocols import AgentView, TrainerView


class StopOnTime(Callback):
    """Stop the run after a time, with everything saved as at any end.

    The time is that of training, over all resumes: a run that was stopped stops again at once, unless it is given more.

    Example:
        >>> StopOnTime(hours=1.5).seconds
        5400.0
    """

    def __init__(
        self, *, seconds: float = 0.0, minutes: float = 0.0, hours: float = 0.0, each_start: bool = False
    ) -> None:
        """Choose how long; the parts add up.

        Args:
            seconds: at least 0.
            minutes: at least 0.
            hours: at least 0.
            each_start: count from this start alone, as for a job with a time limit that is begun again and again.

        Raises:
            SettingError: if a part isn't such a number, or there is no time in all.
        """
        for name, value in (("seconds", seconds), ("minutes", minutes), ("hours", hours)):
            if isinstance(value, bool) or not (math.isfinite(value) and value >= 0.0):
                raise SettingError(f"stop_on_time.{name}: expected a finite number >= 0, got {value!r}")
        self.seconds = seconds + 60.0 * minutes + 3600.0 * hours
        if self.seconds == 0.0:
            raise SettingError("stop_on_time: expected seconds=, minutes= or hours=, got no time")
        self.each_start = each_start
        self._before_s = 0.0
        self._began_s = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """Return how long the run has trained."""
        return {"seconds": self.elapsed_s}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take that back; anything else is a ``SettingError``."""
        before = state.get("seconds")
        if not isinstance(before, int | float) or not (math.isfinite(before) and before >= 0.0):
            raise SettingError("stop_on_time: expected a number 'seconds' >= 0, found another state")
        self._before_s = float(before)

    def setup(self, trainer: TrainerView, agent: AgentView, stage: str) -> None:
        """Forget an earlier run."""
        self._before_s, self._began_s = 0.0, time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """How long the run has trained, in seconds."""
        return self._before_s + time.monotonic() - self._began_s

    def on_train_start(self, trainer: TrainerView, agent: AgentView) -> None:
        """Start the clock."""
        self._began_s = time.monotonic()

    def on_step_end(self, trainer: TrainerView, agent: AgentView) -> None:
        """Stop if the time is up."""
        elapsed_s = self.elapsed_s - (self._before_s if self.each_start else 0.0)
        if elapsed_s >= self.seconds:
            trainer.stop(f"the time of {self.seconds:g} s is up")
