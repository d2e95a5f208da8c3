"""How far the seeds of a run have come, by a few short queries."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace

from velora.metrics.reading import Source, number, open_store

_EPISODES = """
    SELECT seed, max(episode) AS episodes, step, updates, window_mean, sum(seconds) AS seconds
    FROM episode WHERE run_id = ? GROUP BY seed"""
_BEST_EPISODES = "SELECT seed, max(window_mean) AS best FROM episode WHERE run_id = ? GROUP BY seed"
_EVALUATIONS = "SELECT seed, max(step) AS step, mean FROM evaluation WHERE run_id = ? GROUP BY seed"
_BEST_EVALUATIONS = "SELECT seed, max(mean) AS best FROM evaluation WHERE run_id = ? GROUP BY seed"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one seed stands; a return that isn't known yet is NaN.

    Attributes:
        seed: the run seed.
        episodes: finished ones.
        steps: environment steps at the end of the newest episode, or at the newest evaluation.
        updates: gradient updates at the end of the newest episode.
        seconds: wall-clock time of its episodes; what lies between a stop and a resume doesn't count.
        recent: mean return of its last episodes, as many as ``window_size`` says.
        best_recent: the best that this ever was.
        evaluation: mean return of its newest evaluation.
        best_evaluation: mean return of its best one.
    """

    seed: int
    episodes: int = 0
    steps: int = 0
    updates: int = 0
    seconds: float = 0.0
    recent: float = math.nan
    best_recent: float = math.nan
    evaluation: float = math.nan
    best_evaluation: float = math.nan


def standings(source: Source, *, run_id: str) -> dict[int, Standing]:
    """Read where the seeds of a run stand; one that has finished no episode is missing.

    Raises:
        RunDirectoryError: if there is no store at ``source``.
    """
    found: dict[int, Standing] = {}
    with open_store(source) as connection:
        # Beside a single max(), SQLite takes the other columns from the row that has it.
        for query, read in _QUERIES:
            for row in connection.execute(query, (run_id,)):
                own = found.get(row["seed"], Standing(row["seed"]))  # a row may have come since the query before
                found[row["seed"]] = read(own, row)
    return found


def _with_episodes(own: Standing, row: sqlite3.Row) -> Standing:
    counts = {"episodes": int(row["episodes"]), "steps": int(row["step"]), "updates": int(row["updates"])}
    return replace(own, **counts, seconds=number(row["seconds"]), recent=number(row["window_mean"]))


def _with_evaluation(own: Standing, row: sqlite3.Row) -> Standing:
    return replace(own, evaluation=number(row["mean"]), steps=max(own.steps, int(row["step"])))


_QUERIES: tuple[tuple[str, Callable[[Standing, sqlite3.Row], Standing]], ...] = (
    (_EPISODES, _with_episodes),
    (_BEST_EPISODES, lambda own, row: replace(own, best_recent=number(row["best"]))),
    (_EVALUATIONS, _with_evaluation),
    (_BEST_EVALUATIONS, lambda own, row: replace(own, best_evaluation=number(row["best"]))),
)
