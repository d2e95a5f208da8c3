"""How to drive: rate, deadlines, and when the watchdog gives up."""

from __future__ import annotations

import math
from dataclasses import dataclass

from velora.core.errors import SettingError
from velora.drive.clock import SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveSettings:
    """Settings of a loop.

    The policy's dt is in control steps, the unit that it was trained in: the seconds between two readings, divided by
    ``step_s``.

    Args:
        rate: ticks of the loop in a second.
        steps: ticks to drive for; ``None``: until it is stopped.
        step_s: seconds of one control step; ``None`` is one period, ``1 / rate``.
        deadline: share of the period in which a tick's action has to be written.
        misses: missed deadlines in a row at which the watchdog writes the safe action.
        silent_s: seconds without a reading at which it does.
        recover: go on once the plant answers and deadlines are kept again, with a state of zeros; if not, the loop ends
            when the watchdog has acted.

    Raises:
        SettingError: if a number is out of its range.
    """

    rate: float
    steps: int | None = None
    step_s: float | None = None
    deadline: float = 1.0
    misses: int = 20
    silent_s: float = 0.5
    recover: bool = False

    def __post_init__(self) -> None:
        check_times(self.rate, self.step_s)
        _check("deadline", self.deadline, 0.01, 1.0, "of a period")
        _check("silent_s", self.silent_s, 1e-3, 1e6, "seconds")
        for name in ("steps", "misses"):
            given = getattr(self, name)
            if given is not None and given < 1:
                raise SettingError(f"{name}: expected at least 1, got {given}")
        if self.silent_s * self.rate < 2.0:
            raise SettingError(
                f"silent_s: {self.silent_s:g} s are less than two periods at rate={self.rate:g}, so that one late "
                f"reading would stop the plant; expected at least {2.0 / self.rate:g}"
            )

    @property
    def control_step_s(self) -> float:
        """Seconds of one control step."""
        return 1.0 / self.rate if self.step_s is None else self.step_s

    @property
    def period_ns(self) -> int:
        """Nanoseconds from one tick to the next."""
        return round(SECOND / self.rate)

    @property
    def step_ns(self) -> float:
        """Nanoseconds of one control step."""
        return self.control_step_s * SECOND


def check_times(rate: float, step_s: float | None) -> None:
    """Check the ticks in a second, and the seconds of a control step, ``None`` for a period of that rate.

    Raises:
        SettingError: if one is out of its range.
    """
    _check("rate", rate, 1e-3, 1e5, "ticks a second")
    _check("step_s", 1.0 / rate if step_s is None else step_s, 1e-6, 1e6, "seconds")


def _check(name: str, given: float, least: float, most: float, unit: str) -> None:
    if not (math.isfinite(given) and least <= given <= most):
        raise SettingError(f"{name}: expected from {least:g} to {most:g} {unit}, got {given:g}")
