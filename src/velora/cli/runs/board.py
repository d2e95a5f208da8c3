"""The text of a live table: how many runs there are of each status, how long it will take, and a line for each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from velora.analysis.collection import Runs
from velora.analysis.columns import mean, shown
from velora.analysis.rows import Rows
from velora.analysis.run import Run
from velora.analysis.status import STATUSES
from velora.analysis.table import as_lines, duration, number
from velora.core.terminal import visible

_ORDER: Final = ("running", "failed", "dead", "unknown", "interrupted", "waiting", "finished")
"""Of the lines, so that those that matter now stand where a low window still shows them."""
_BAR: Final = 30
_FEWEST: Final = 0.02
"""Share of a run that must be done before its pace is taken for the rest."""
_SPARE: Final = ("steps", "episodes", "time", "left", "progress")


def board(runs: Runs, *, top: Path | None = None, width: int | None = None, height: int | None = None) -> list[str]:
    """Write the lines of a live table.

    Args:
        runs: all of them, as they are now.
        top: a directory that they all lie in, whose name is left out.
        width: letters of a line; ``None`` for as many as it takes.
        height: lines there is room for; the last one then says how many runs aren't shown.
    """
    ordered = sorted(runs, key=lambda run: _ORDER.index(run.status))  # stable: by name within a status
    room = len(ordered) if height is None else max(1, height - 4)
    listed = ordered if len(ordered) <= room else ordered[: room - 1]
    lines = [*headline(runs, top=top), *as_lines(_rows(listed, top), _columns(listed), width=width, spare=_SPARE)]
    if len(listed) < len(ordered):
        lines.append(f"and {len(ordered) - len(listed)} more")
    return lines


def headline(runs: Runs, *, top: Path | None = None) -> list[str]:
    """Say in one or two lines how the runs stand together."""
    counts = Counter(run.status for run in runs)
    lines = [f"{len(runs)} runs: " + ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])]
    known = [1.0 if run.status == "finished" else 0.0 if math.isnan(run.progress) else run.progress for run in runs]
    done = sum(known) / len(known) if known else 0.0
    parts = [f"[{'=' * math.floor(_BAR * done):<{_BAR}}] {math.floor(100 * done)} %"]
    if (left := seconds_left(runs)) is not None:
        parts.append(f"about {duration(left)} left")
    if best := best_of(runs):
        parts.append(f"best {number(best[1])} ({name_of(best[0], top)})")
    return [*lines, "  ".join(parts)]


def seconds_left(runs: Sequence[Run]) -> float | None:
    """Estimate how long those that run and wait will take, by the pace of all; ``None`` while nothing tells."""
    paces = [run.seconds / run.progress for run in runs if run.seconds and run.progress > _FEWEST]
    going_on = [run for run in runs if run.status in ("running", "waiting")]
    n_running = sum(run.status == "running" for run in going_on)
    if not paces or not n_running:
        return None
    usual = sum(paces) / len(paces)
    whole = [(run, 0.0 if run.status == "waiting" else run.progress) for run in going_on]
    return sum((1 - done) * (_pace(run) or usual) for run, done in whole if not math.isnan(done)) / n_running


def best_of(runs: Sequence[Run]) -> tuple[Run, float] | None:
    """Return the run with the largest return, and that; ``None`` if none has one yet."""
    known = [(run, value) for run in runs if (value := mean(run.returns())) is not None]
    return max(known, key=lambda pair: pair[1]) if known else None


def name_of(run: Run, top: Path | None) -> str:
    """Name a run by its directory, from ``top`` on."""
    directory = run.directory
    if top is not None and directory.is_relative_to(top):
        return visible(str(directory.relative_to(top)))
    return visible(shown(directory))


def line_of(run: Run, top: Path | None) -> str:
    """Say in one line how a run stands."""
    value = mean(run.returns())
    parts = [name_of(run, top), run.status]
    parts += [] if value is None else [f"return {number(value)}"]
    parts += [duration(run.seconds)] if run.seconds else []
    parts += [visible(run.reason)] if run.reason else []
    return "  ".join(parts)


def _pace(run: Run) -> float | None:
    return run.seconds / run.progress if run.seconds and run.progress > _FEWEST else None


def _rows(runs: Sequence[Run], top: Path | None) -> Rows:
    return Rows(_row(run, top) for run in runs)


def _row(run: Run, top: Path | None) -> dict[str, Any]:
    pace = _pace(run)
    return {
        "run": name_of(run, top),
        "status": run.status,
        "progress": None if math.isnan(run.progress) or run.status == "waiting" else run.progress,
        "episodes": run.n_episodes or None,
        "steps": run.n_steps or None,
        "return": mean(run.returns()),
        "time": run.seconds or None,
        "left": None if pace is None or run.status != "running" else pace * (1 - run.progress),
        "reason": run.reason,
    }


def _columns(runs: Sequence[Run]) -> list[str]:
    columns = ["run", "status", "progress", "episodes", "steps", "return", "time"]
    columns += ["left"] if any(run.status == "running" for run in runs) else []
    return columns + (["reason"] if any(run.reason for run in runs) else [])
