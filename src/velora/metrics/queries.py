"""Read a run store. Files are opened read-only, so a training run that is still writing is never disturbed."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from velora.core.errors import RunDirectoryError
from velora.metrics.rows import EpisodeRow, EvaluationRow, ExperimentRow, LoggedRow
from velora.metrics.schema import DATABASE_NAME, RUN_SETTINGS
from velora.metrics.store import RunStore

Source: TypeAlias = str | Path | RunStore
"""A run directory, its ``metrics.db``, or the store of a run in this process."""

_BUSY_TIMEOUT_S = 5.0


def experiments(source: Source) -> list[ExperimentRow]:
    """List the runs in a store, oldest first.

    Raises:
        RunDirectoryError: if there is no store at ``source``.
    """
    with _open(source) as connection:
        return _experiments(connection)


def episodes(source: Source, *, run_id: str | None = None, seed: int | None = None) -> list[EpisodeRow]:
    """List finished episodes, by seed and number.

    Args:
        source: where to read.
        run_id: which run; None is the one that started last.
        seed: one run seed, or None for all.

    Raises:
        RunDirectoryError: if there is no store at ``source``.
    """
    with _open(source) as connection:
        run = run_id or _newest(connection)
        where, values = _where(run, seed)
        metrics: dict[tuple[int, int], dict[str, float]] = {}
        for s, episode, name, value in connection.execute(
            f"SELECT seed, episode, name, value FROM metric {where}", values
        ):
            metrics.setdefault((s, episode), {})[name] = _number(value)
        rows = connection.execute(f"SELECT * FROM episode {where} ORDER BY seed, episode", values).fetchall()
    return [_episode(row, metrics.get((row["seed"], row["episode"]), {})) for row in rows]


def evaluations(source: Source, *, run_id: str | None = None, seed: int | None = None) -> list[EvaluationRow]:
    """List rounds of evaluation, by seed and step; the arguments are those of :func:`episodes`.

    Raises:
        RunDirectoryError: if there is no store at ``source``.
    """
    with _open(source) as connection:
        where, values = _where(run_id or _newest(connection), seed)
        rows = connection.execute(f"SELECT * FROM evaluation {where} ORDER BY seed, step", values).fetchall()
    return [
        EvaluationRow(
            seed=row["seed"],
            step=row["step"],
            episode=row["episode"],
            returns=tuple(_number(value) for value in json.loads(row["returns"])),
        )
        for row in rows
    ]


def logged(
    source: Source, *, run_id: str | None = None, seed: int | None = None, name: str | None = None
) -> list[LoggedRow]:
    """List the numbers that callbacks logged, by seed, name and step; those of one name, or all.

    Raises:
        RunDirectoryError: if there is no store at ``source``.
    """
    with _open(source) as connection:
        if not _has_table(connection, "logged"):  # a file of before the table
            return []
        where, values = _where(run_id or _newest(connection), seed)
        if name is not None:
            where, values = f"{where} AND name = ?", (*values, name)
        query = f"SELECT seed, name, step, updates, episode, value FROM logged {where} ORDER BY seed, name, step, updates"
        rows = connection.execute(query, values).fetchall()
    return [LoggedRow(**{**row, "value": _number(row["value"])}) for row in rows]


def learning_curve(
    source: Source, *, run_id: str | None = None, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the environment steps at each episode's end and the episodes' returns, for one seed.

    Shapes:
        steps, returns: (episodes,); a return that was NaN is NaN.

    Raises:
        RunDirectoryError: if there is no store at ``source``.
    """
    with _open(source) as connection:
        where, values = _where(run_id or _newest(connection), seed)
        rows = connection.execute(f"SELECT step, reward FROM episode {where} ORDER BY episode", values).fetchall()
    steps = np.array([row["step"] for row in rows], dtype=np.int64)
    return steps, np.array([_number(row["reward"]) for row in rows], dtype=np.float64)


def database_path(path: str | Path) -> Path:
    """Return the database file of a run directory, or the file itself if that was given.

    Raises:
        RunDirectoryError: if it isn't there.
    """
    given = Path(path)
    found = given / DATABASE_NAME if given.is_dir() else given
    if not found.is_file():
        raise RunDirectoryError(f"{given}: expected a run directory with {DATABASE_NAME}, or that file; found neither")
    return found


@contextmanager
def _open(source: Source) -> Iterator[sqlite3.Connection]:
    """Open a store for reading, with rows that know their column names."""
    if isinstance(source, RunStore) and source.path is None:
        connection = source.connection
        before, connection.row_factory = connection.row_factory, sqlite3.Row
        try:
            yield connection
        finally:
            connection.row_factory = before
        return
    if isinstance(source, RunStore):
        source.flush()
    path = database_path(source.path if isinstance(source, RunStore) and source.path else str(source))
    connection = _connect_read_only(path)
    try:
        yield connection
    except sqlite3.Error as error:
        raise RunDirectoryError(f"{path}: can't be read as a run's metrics ({error})") from error
    finally:
        connection.close()


def _connect_read_only(path: Path) -> sqlite3.Connection:
    """Open the file without the right to write, and leave no file beside it that wasn't there.

    A reader of a database in WAL mode makes ``-wal`` and ``-shm`` files and may not remove them. Where there is no
    ``-wal`` the database is whole and nobody writes to it (a run that begins writes to a new ``-wal`` first), so it is
    opened as immutable, which needs neither. While a run is going on, or after it was killed, the ``-wal`` holds rows;
    then both files are used. Where not even that is permitted, immutable shows all but the newest rows.
    """
    file = path.resolve()
    uri = f"file:{quote(str(file))}?mode=ro"
    is_whole = not file.with_name(f"{file.name}-wal").exists()
    connection = sqlite3.connect(f"{uri}&immutable=1" if is_whole else uri, uri=True, timeout=_BUSY_TIMEOUT_S)
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchall()
    except sqlite3.OperationalError:
        connection.close()
        connection = sqlite3.connect(f"{uri}&immutable=1", uri=True)
    except sqlite3.Error:
        pass  # not a database: the query itself reports it, with the file's name
    connection.row_factory = sqlite3.Row
    return connection


def _experiments(connection: sqlite3.Connection) -> list[ExperimentRow]:
    rows = connection.execute("SELECT * FROM experiment ORDER BY started_at, rowid").fetchall()
    return [_experiment(row) for row in rows]


def _experiment(row: sqlite3.Row) -> ExperimentRow:
    settings, known = json.loads(row["settings"]), row.keys()
    return ExperimentRow(
        run_id=row["run_id"],
        agent=row["agent"],
        environment=row["environment"],
        seeds=tuple(json.loads(row["seeds"])),
        run_settings=settings.pop(RUN_SETTINGS, {}),
        settings=settings,
        versions=json.loads(row["versions"]),
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        status=row["status"],
        stop_reason=row["stop_reason"],
        n_episodes=row["n_episodes"] if "n_episodes" in known else None,
        n_steps=row["n_steps"] if "n_steps" in known else None,
    )


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
        seed=row["seed"],
        episode=row["episode"],
        step=row["step"],
        updates=row["updates"],
        reward=_number(row["reward"]),
        length=row["length"],
        terminated=bool(row["terminated"]),
        truncated=bool(row["truncated"]),
        reset_seed=row["reset_seed"],
        window_mean=_number(row["window_mean"]),
        window_std=_number(row["window_std"]),
        window_max=_number(row["window_max"]),
        window_count=row["window_count"],
        seconds=_number(row["seconds"]),
        metrics=metrics,
    )


def _number(value: float | None) -> float:
    """Turn NULL back into NaN."""
    return math.nan if value is None else float(value)
