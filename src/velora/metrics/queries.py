"""Read a run store: its runs, episodes, evaluations, and what callbacks logged."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from velora.metrics.reading import Source, database_path, number, open_store
from velora.metrics.rows import EpisodeRow, EvaluationRow, ExperimentRow, LoggedRow
from velora.metrics.schema import RUN_SETTINGS

T = TypeVar("T")
__all__ = ["Source", "database_path", "episodes", "evaluations", "experiments", "learning_curve", "logged"]


def experiments(source: Source) -> list[ExperimentRow]:
    """List the runs in a store, oldest first; none in a file that a run has just made.

    Raises:
        RunDirectoryError: if there is no store at ``source``.
    """
    with open_store(source) as connection:
        is_new = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        return [] if is_new else _experiments(connection)


def episodes(source: Source, *, run_id: str | None = None, seed: int | None = None) -> list[EpisodeRow]:
    """List finished episodes, by seed and number.

    Args:
        source: where to read.
        run_id: which run; None is the one that started last.
        seed: one run seed, or None for all.

    Raises:
        RunDirectoryError: if there is no store at ``source``.
    """
    with open_store(source) as connection:
        run = run_id or _newest(connection)
        where, values = _where(run, seed)
        metrics: dict[tuple[int, int], dict[str, float]] = {}
        for s, episode, name, value in connection.execute(
            f"SELECT seed, episode, name, value FROM metric {where}", values
        ):
            metrics.setdefault((s, episode), {})[name] = number(value)
        rows = connection.execute(f"SELECT * FROM episode {where} ORDER BY seed, episode", values)
        return [_episode(row, metrics.get((row["seed"], row["episode"]), {})) for row in rows]


def evaluations(source: Source, *, run_id: str | None = None, seed: int | None = None) -> list[EvaluationRow]:
    """List rounds of evaluation, by seed and step; the arguments are those of :func:`episodes`.

    Raises:
        RunDirectoryError: if there is no store at ``source``.
    """
    with open_store(source) as connection:
        where, values = _where(run_id or _newest(connection), seed)
        rows = connection.execute(f"SELECT * FROM evaluation {where} ORDER BY seed, step", values)
        return [_evaluation(row) for row in rows]


def logged(
    source: Source, *, run_id: str | None = None, seed: int | None = None, name: str | None = None
) -> list[LoggedRow]:
    """List the numbers that callbacks logged, by seed, name and step; those of one name, or all.

    Raises:
        RunDirectoryError: if there is no store at ``source``.
    """
    with open_store(source) as connection:
        if not _has_table(connection, "logged"):  # a file of before the table
            return []
        where, values = _where(run_id or _newest(connection), seed)
        if name is not None:
            where, values = f"{where} AND name = ?", (*values, name)
        query = (
            f"SELECT seed, name, step, updates, episode, value FROM logged {where} ORDER BY seed, name, step, updates"
        )
        return [_logged(row) for row in connection.execute(query, values)]


def learning_curve(
    source: Source, *, run_id: str | None = None, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the environment steps at each episode's end and the episodes' returns, for one seed.

    Shapes:
        steps, returns: (episodes,); a return that was NaN is NaN.

    Raises:
        RunDirectoryError: if there is no store at ``source``.
    """
    with open_store(source) as connection:
        where, values = _where(run_id or _newest(connection), seed)
        rows = connection.execute(f"SELECT step, reward FROM episode {where} ORDER BY episode", values).fetchall()
        steps = np.array([int(row["step"]) for row in rows], dtype=np.int64)
        return steps, np.array([number(row["reward"]) for row in rows], dtype=np.float64)


def _experiments(connection: sqlite3.Connection) -> list[ExperimentRow]:
    rows = connection.execute("SELECT * FROM experiment ORDER BY started_at, rowid").fetchall()
    return [_experiment(row) for row in rows]


def _experiment(row: sqlite3.Row) -> ExperimentRow:
    settings, known = json.loads(row["settings"]), row.keys()
    return ExperimentRow(
        run_id=str(row["run_id"]),
        agent=str(row["agent"]),
        environment=str(row["environment"]),
        seeds=tuple(int(seed) for seed in json.loads(row["seeds"])),
        run_settings=dict(settings.pop(RUN_SETTINGS, {})),
        settings=settings,
        versions=dict(json.loads(row["versions"])),
        started_at=str(row["started_at"]),
        finished_at=_or_none(str, row["finished_at"]),
        status=str(row["status"]),
        stop_reason=_or_none(str, row["stop_reason"]),
        n_episodes=_or_none(int, row["n_episodes"]) if "n_episodes" in known else None,
        n_steps=_or_none(int, row["n_steps"]) if "n_steps" in known else None,
    )


def _or_none(kind: Callable[[Any], T], value: Any) -> T | None:
    return None if value is None else kind(value)


def _has_table(connection: sqlite3.Connection, name: str) -> bool:
    return bool(connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)).fetchone())


def _newest(connection: sqlite3.Connection) -> str:
    """Return the id of the run that started last, or an empty one if there is none."""
    row = connection.execute("SELECT run_id FROM experiment ORDER BY started_at DESC, rowid DESC LIMIT 1").fetchone()
    return str(row["run_id"]) if row else ""


def _where(run_id: str, seed: int | None) -> tuple[str, tuple[Any, ...]]:
    if seed is None:
        return "WHERE run_id = ?", (run_id,)
    return "WHERE run_id = ? AND seed = ?", (run_id, seed)


def _episode(row: sqlite3.Row, metrics: dict[str, float]) -> EpisodeRow:
    return EpisodeRow(
        seed=int(row["seed"]),
        episode=int(row["episode"]),
        step=int(row["step"]),
        updates=int(row["updates"]),
        reward=number(row["reward"]),
        length=int(row["length"]),
        terminated=bool(row["terminated"]),
        truncated=bool(row["truncated"]),
        reset_seed=int(row["reset_seed"]),
        window_mean=number(row["window_mean"]),
        window_std=number(row["window_std"]),
        window_max=number(row["window_max"]),
        window_count=int(row["window_count"]),
        seconds=number(row["seconds"]),
        metrics=metrics,
    )


def _evaluation(row: sqlite3.Row) -> EvaluationRow:
    returns = tuple(number(value) for value in json.loads(row["returns"]))
    if not returns:
        raise ValueError("an evaluation without an episode")
    return EvaluationRow(seed=int(row["seed"]), step=int(row["step"]), episode=int(row["episode"]), returns=returns)


def _logged(row: sqlite3.Row) -> LoggedRow:
    counts = {name: int(row[name]) for name in ("seed", "step", "updates", "episode")}
    return LoggedRow(name=str(row["name"]), value=number(row["value"]), **counts)


def metric_names(source: Source, *, run_id: str) -> list[str]:
    """List the names of what updates reported and callbacks logged, in order of the alphabet.

    Raises:
        RunDirectoryError: if there is no store at ``source``.
    """
    with open_store(source) as connection:
        names = connection.execute("SELECT DISTINCT name FROM metric WHERE run_id = ?", (run_id,)).fetchall()
        if _has_table(connection, "logged"):
            names += connection.execute("SELECT DISTINCT name FROM logged WHERE run_id = ?", (run_id,)).fetchall()
        return sorted({str(row["name"]) for row in names})
