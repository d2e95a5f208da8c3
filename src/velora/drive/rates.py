"""The rate that this machine can hold, measured before anything is driven."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

from velora.core.errors import SettingError
from velora.drive.controller import Controller
from velora.drive.plant import Plant
from velora.drive.settings import DriveSettings
from velora.drive.simulated import SimulatedPlant

REHEARSALS, LEAST, LONGEST_S = 200, 3, 2.0
"""Calls that are timed, fewer where they take longer than so many seconds together, but at least three."""
SHARE = 0.8
"""Of a period that the work of a tick may take, in the median; the rest is for what varies."""


def rehearse(controller: Controller, plant: Plant | None, settings: DriveSettings) -> float:
    """Return the seconds that the work of a tick takes: the policy's, and of a simulated plant that of its physics.

    Nothing is written to the plant.
    """
    seconds = _median(controller.rehearse)
    if isinstance(plant, SimulatedPlant):
        seconds += _median(lambda: plant.rehearse(1.0 / settings.rate))
    return seconds


def check_rate(work_s: float, settings: DriveSettings, *, advice: str) -> None:
    """Refuse a rate that the work of a tick leaves no room for.

    Raises:
        SettingError: naming the rate that can be held.
    """
    most = SHARE * settings.deadline / work_s
    if settings.rate > most:
        digits = 10 ** max(0, len(str(int(most))) - 2)
        held = f"{int(most // digits * digits):,}" if most >= 1.0 else f"{most:.2g}"
        took = f"{work_s * 1e3:.3g} ms" if work_s < 1.0 else f"{work_s:.3g} s"
        raise SettingError(
            f"rate: this machine can't hold {settings.rate:g} ticks a second; one tick's work takes {took}; "
            f"expected at most {held}{advice}"
        )


def _median(call: Callable[[], object]) -> float:
    took = list[float]()
    while len(took) < REHEARSALS and (sum(took) < LONGEST_S or len(took) < LEAST):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return median(took)
