"""Read one number along the training of every seed of some runs, over steps, episodes or seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from velora.analysis.run import EVALUATION, RETURN, Run
from velora.analysis.statistics import Floats
from velora.core.errors import RunDirectoryError, SettingError
from velora.core.names import did_you_mean

AXES: Final = {
    "steps": "environment steps per seed",
    "episodes": "episodes per seed",
    "seconds": "seconds of training",
}
"""Quantities of the horizontal axis, and their labels."""

SCORES: Final = (RETURN, EVALUATION)
"""Metrics of which more is better, so that they can be scored; of others, such as a loss, that isn't known."""


@dataclass(frozen=True, slots=True)
class Series:
    """One number along the training of one seed.

    Attributes:
        run: whose it is.
        seed: the run seed.
        x: where, ascending, (points,).
        values: what, finite, (points,).
        n_lost: how many values weren't finite and are left out.
    """

    run: Run
    seed: int
    x: Floats
    values: Floats
    n_lost: int = 0


def check_axis(x: str) -> None:
    """Refuse what no curve is drawn over.

    Raises:
        SettingError: if ``x`` is none of :data:`AXES`.
    """
    if x not in AXES:
        raise SettingError(f"x: expected one of {', '.join(AXES)}, got {x!r}")


def find_series(runs: Sequence[Run], metric: str, *, x: str = "steps") -> list[Series]:
    """Read a metric of every seed of some runs; what hasn't recorded a finite value of it is left out.

    Args:
        metric: a name that :meth:`velora.analysis.run.Run.metric` knows.
        x: one of :data:`AXES`.

    Raises:
        SettingError: if ``x`` is another word.
    """
    check_axis(x)
    return [one for run in runs if run.run_id and metric in run.metrics() for one in _of_run(run, metric, x)]


def read_series(runs: Sequence[Run], metric: str, *, x: str = "steps") -> list[Series]:
    """Read a metric as :func:`find_series` does, and say what is wrong where there is nothing.

    Raises:
        SettingError: if no run has recorded the metric; the message says what they have.
        RunDirectoryError: if there is no number in any run yet.
    """
    if found := find_series(runs, metric, x=x):
        return found
    known = list(dict.fromkeys(name for run in runs if run.run_id for name in run.metrics()))
    if metric not in known and known:
        hint = did_you_mean(metric, known, f"there is {', '.join(known)}")
        raise SettingError(f"metric: nobody recorded {metric!r}; {hint}")
    places = list(dict.fromkeys(str(run.directory) for run in runs))
    where = ", ".join(places[:3]) + (f" and {len(places) - 3} more" if len(places) > 3 else "")
    missing = "rounds of evaluation" if metric == EVALUATION else "finished episodes"
    raise RunDirectoryError(f"{where}: expected {missing}, found none; train first")


def _of_run(run: Run, metric: str, x: str) -> list[Series]:
    rows = run.metric(metric)
    seeds, steps = (np.array(rows.column(name), dtype=np.int64) for name in ("seed", "step"))
    values = np.array(rows.column("value"), dtype=np.float64)
    finite = np.isfinite(values)
    found = []
    for seed in run.seeds:
        own = (seeds == seed) & finite
        if own.any():
            place = _place(run, seed, steps[own].astype(np.float64), x)
            found.append(Series(run, seed, place, values[own], int(((seeds == seed) & ~finite).sum())))
    return found


def _place(run: Run, seed: int, steps: Floats, x: str) -> Floats:
    """Turn environment steps into places on the axis, by the episodes that had ended by then."""
    if x == "steps":
        return steps
    rows = [row for row in run.episodes() if row["seed"] == seed]
    ends = np.array([0.0, *(row["step"] for row in rows)])
    passed = [0.0, *(row["seconds"] for row in rows)] if x == "seconds" else [0.0, *[1.0] * len(rows)]
    places: Floats = np.interp(steps, ends, np.cumsum(np.nan_to_num(passed)))
    return places
