"""What is said at the end of a drive: in the terminal, and as JSON."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from typing import Any

from velora.drive.loop import Driven
from velora.drive.settings import DriveSettings
from velora.drive.tally import Durations

EDGES_US = (0, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, float("inf"))
_BAR = 40
UNEVEN = 0.2
"""Share of a period by which an interval may differ without being counted as uneven, as RLtools warns at."""


def load_now() -> float:
    """Return the machine's load over the last minute; 0 where it isn't known."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def record(driven: Driven, settings: DriveSettings, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything as JSON.

    Args:
        about: what was driven by what, which comes first.
    """
    tally = driven.tally
    acted = max(1, tally.acted)
    uneven_us = round(UNEVEN * 1e6 / settings.rate)
    returns = tally.episodes
    return {
        **about,
        "rate": settings.rate,
        "control_step_s": settings.control_step_s,
        "deadline_ms": round(settings.deadline * 1e3 / settings.rate, 4),
        "ended": driven.ended,
        "seconds": round(driven.seconds, 3),
        "ticks": tally.ticks,
        "acted": tally.acted,
        "misses": tally.misses,
        "late": tally.late,
        "skipped": tally.skipped,
        "missing_readings": tally.missing,
        "watchdog": tally.trips,
        "lateness_us": tally.lateness.summary(),
        "work_us": tally.work.summary(),
        "interval_us": tally.interval.summary(),
        "uneven_intervals": tally.interval.between(uneven_us, float("inf")),
        "dt": {
            "mean": round(tally.dt_sum / acted, 4),
            "min": round(tally.dt_least, 4) if tally.acted else 0.0,
            "max": round(tally.dt_most, 4),
        },
        "episodes": len(returns),
        "return": round(sum(returns) / len(returns), 2) if returns else None,
        "cores": os.cpu_count(),
        "load": round(load_now(), 2),
    }


def lines(driven: Driven, settings: DriveSettings) -> list[str]:
    """Write a drive down for people, with the histogram of how late its ticks began."""
    tally = driven.tally
    missed = f"{tally.misses:,} of {tally.ticks:,}"
    share = 100.0 * tally.misses / max(1, tally.ticks)
    told = [
        f"ended       {driven.ended}, after {tally.ticks:,} ticks in {driven.seconds:.1f} s",
        f"misses      {missed} ({share:.3f} %): {tally.late:,} late, {tally.skipped:,} skipped",
        f"readings    {tally.acted:,} acted on, {tally.missing:,} ticks without one",
        _row("lateness", tally.lateness),
        _row("work", tally.work),
        _row("interval", tally.interval, "off "),
    ]
    if tally.acted:
        mean = tally.dt_sum / tally.acted
        told.append(
            f"dt          mean {mean:.3f}, {tally.dt_least:.3f} to {tally.dt_most:.3f} control steps of "
            f"{settings.control_step_s * 1e3:g} ms"
        )
    if tally.trips:
        told.append(f"watchdog    wrote the safe action {tally.trips} time{'' if tally.trips == 1 else 's'}")
    if tally.episodes:
        n = len(tally.episodes)
        told.append(f"return      {sum(tally.episodes) / n:.1f} over {n} episode{'' if n == 1 else 's'}")
    return [*told, "", "how late ticks began:", *histogram(tally.lateness)]


def histogram(durations: Durations) -> list[str]:
    """Draw a histogram, a line for each range; those at both ends that hold nothing are left out."""
    ranges = list(itertools.pairwise(EDGES_US))
    counts = [durations.between(low, high) for low, high in ranges]
    filled = [at for at, count in enumerate(counts) if count]
    if not filled:
        return ["  nothing was counted"]
    most, drawn = max(counts), []
    for at in range(filled[0], filled[-1] + 1):
        bar = "#" * max(round(_BAR * counts[at] / most), counts[at] > 0)
        drawn.append(f"  {_until(*ranges[at]):>16}  {counts[at]:>9,}  {bar}".rstrip())
    return drawn


def _until(low: float, high: float) -> str:
    return f"from {_time(low)}" if high == float("inf") else f"to {_time(high)}"


def _time(us: float) -> str:
    return f"{us:g} us" if us < 1_000 else f"{us / 1_000:g} ms"


def _row(name: str, durations: Durations, before: str = "") -> str:
    numbers = durations.summary()
    told = ", ".join(f"{label} {numbers[key]:g}" for label, key in _LABELS)
    return f"{name:<12}{before}{told} us"


_LABELS = (("mean", "mean"), ("50 %", "p50"), ("99 %", "p99"), ("99.9 %", "p99_9"), ("most", "max"))
