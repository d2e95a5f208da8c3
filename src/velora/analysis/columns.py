"""The columns of a table of runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from velora.analysis.run import Run
from velora.analysis.status import STATUSES


@dataclass(frozen=True, slots=True)
class Column:
    """Column of a table of runs: what it means, and its value of a run (``None`` where there is none)."""

    meaning: str
    value: Callable[[Run], Any]


def shown(path: Path) -> str:
    """Write a path as seen from the current directory, if it is below that."""
    here, absolute = Path.cwd(), path.absolute()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(path)


def mean(values: Sequence[float]) -> float | None:
    """Average what is finite; ``None`` if nothing is.

    Example:
        >>> mean([-200.0, -100.0, math.nan]), mean([])
        (-150.0, None)
    """
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else None


COLUMNS: dict[str, Column] = {
    "run": Column("the directory", lambda run: shown(run.directory)),
    "agent": Column("the agent's key", lambda run: run.agent or None),
    "env": Column("the environment's id", lambda run: run.environment or None),
    "status": Column(f"one of {', '.join(STATUSES)}", lambda run: run.status),
    "progress": Column(
        "share of the budget that is used up", lambda run: None if math.isnan(run.progress) else run.progress
    ),
    "episodes": Column("finished episodes of each seed; the most, if they differ", lambda run: run.n_episodes),
    "steps": Column("environment steps of each seed; the most, if they differ", lambda run: run.n_steps),
    "return": Column(
        "mean over seeds of the newest evaluation; of the last episodes, while there is none",
        lambda run: mean(run.returns()),
    ),
    "best": Column(
        "mean over seeds of each one's best evaluation, or such mean", lambda run: mean(run.returns(best=True))
    ),
    "seeds": Column("the run seeds", lambda run: list(run.seeds)),
    "time": Column("seconds of training", lambda run: run.seconds),
    "started": Column("when it began, in UTC", lambda run: run.started_at or None),
    "reason": Column("why it was stopped or failed", lambda run: run.reason),
}
"""The columns that every run has, by name."""
