"""The tables of ``metrics.db`` and the statements that fill them.

A metric is a row of its own, not a column, so an agent may report whatever it likes without a change here; so is a
number that a callback logs. NaN is stored as NULL, everywhere.

Version 2 added ``logged`` and the budget of a run. A file of version 1 is brought to it when a resume opens it.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
from pathlib import Path
from typing import Any, TypeAlias

from velora.core import disk
from velora.metrics.rows import EpisodeRow, EvaluationRow, ExperimentRow, LoggedRow

DATABASE_NAME = "metrics.db"
SCHEMA_VERSION = 2
RUN_SETTINGS = "run"
"""Where the settings of a run stand in the JSON of its agent's; no agent has a setting of this name."""

Statement: TypeAlias = tuple[str, tuple[Any, ...]]

_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS experiment (
        run_id TEXT PRIMARY KEY, agent TEXT NOT NULL, environment TEXT NOT NULL, seeds TEXT NOT NULL,
        settings TEXT NOT NULL, versions TEXT NOT NULL, started_at TEXT NOT NULL, finished_at TEXT,
        status TEXT NOT NULL, stop_reason TEXT, n_episodes INTEGER, n_steps INTEGER
    )""",
    """
    CREATE TABLE IF NOT EXISTS episode (
        run_id TEXT NOT NULL, seed INTEGER NOT NULL, episode INTEGER NOT NULL, step INTEGER NOT NULL,
        updates INTEGER NOT NULL, reward REAL, length INTEGER NOT NULL, terminated INTEGER NOT NULL,
        truncated INTEGER NOT NULL, reset_seed INTEGER NOT NULL, window_mean REAL, window_std REAL, window_max REAL,
        window_count INTEGER NOT NULL, seconds REAL, PRIMARY KEY (run_id, seed, episode)
    )""",
    """
    CREATE TABLE IF NOT EXISTS metric (
        run_id TEXT NOT NULL, seed INTEGER NOT NULL, episode INTEGER NOT NULL, name TEXT NOT NULL, value REAL,
        PRIMARY KEY (run_id, seed, episode, name)
    ) WITHOUT ROWID""",
    """
    CREATE TABLE IF NOT EXISTS evaluation (
        run_id TEXT NOT NULL, seed INTEGER NOT NULL, step INTEGER NOT NULL, episode INTEGER NOT NULL,
        mean REAL, std REAL, min REAL, max REAL, returns TEXT NOT NULL, PRIMARY KEY (run_id, seed, step)
    )""",
    """
    CREATE TABLE IF NOT EXISTS logged (
        run_id TEXT NOT NULL, seed INTEGER NOT NULL, name TEXT NOT NULL, step INTEGER NOT NULL,
        updates INTEGER NOT NULL, episode INTEGER NOT NULL, value REAL,
        PRIMARY KEY (run_id, seed, name, step, updates)
    ) WITHOUT ROWID""",
)
_ADDED_IN_2 = (
    "ALTER TABLE experiment ADD COLUMN n_episodes INTEGER",
    "ALTER TABLE experiment ADD COLUMN n_steps INTEGER",
)

_INSERT_RUN = """
    INSERT INTO experiment
        (run_id, agent, environment, seeds, settings, versions, started_at, n_episodes, n_steps, status)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'running')
    ON CONFLICT (run_id) DO UPDATE SET settings = excluded.settings, versions = excluded.versions, status = 'running',
        n_episodes = excluded.n_episodes, n_steps = excluded.n_steps, finished_at = NULL, stop_reason = NULL"""


def connect(path: Path | None, *, busy_timeout_s: float) -> sqlite3.Connection:
    """Open the database for writing, making its directory, file and tables where they are missing.

    Write-ahead logging lets others read while training writes, and ``synchronous=NORMAL`` spares the disk: a power
    cut may lose rows that :func:`sync` hasn't waited for, but never damages the file.

    Args:
        path: the file, or None for a database in memory.
        busy_timeout_s: how long a statement waits for another process's lock.

    Raises:
        OSError: if the directory can't be made.
        sqlite3.Error: if the file can't be opened or written, or isn't ours.
    """
    if path is not None:
        disk.make_directory(path.parent)
    connection = sqlite3.connect(path or ":memory:", timeout=busy_timeout_s, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        if _version(connection) != SCHEMA_VERSION:
            _bring_up_to_date(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection) -> int:
    """Return the version of the tables; 0 if there are none.

    Raises:
        sqlite3.DatabaseError: if a newer release made them.
    """
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if not 0 <= found <= SCHEMA_VERSION:
        raise sqlite3.DatabaseError(f"its tables have version {found}, this release writes {SCHEMA_VERSION}")
    return found


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Make the tables that are missing, and add what older ones lack, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for change in _ADDED_IN_2 if _version(connection) == 1 else ():
            connection.execute(change)
        for table in _TABLES:
            connection.execute(table)
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def sync(path: Path) -> None:
    """Wait until the device has what was committed to the database in this process.

    Committed rows are in the write-ahead log, or were moved from it into the database by SQLite, which waits for the
    device itself then. To wait for the log costs one call for any number of rows; ``synchronous=FULL`` would wait at
    every commit. The database itself must not be opened here: closing it again would drop SQLite's locks on it.

    Raises:
        OSError: as the system reports it.
    """
    try:
        descriptor = os.open(f"{path}-wal", os.O_RDWR)
    except FileNotFoundError:  # where there can't be such a log, SQLite waits at every commit
        return
    try:
        disk.sync(descriptor)
    finally:
        os.close(descriptor)


def insert_run(row: ExperimentRow) -> Statement:
    """Make the statement that records a run, or marks a resumed one as running again (its start stays)."""
    settings = {**row.settings, **({RUN_SETTINGS: dict(row.run_settings)} if row.run_settings else {})}
    return (
        _INSERT_RUN,
        (
            row.run_id,
            row.agent,
            row.environment,
            json.dumps([int(seed) for seed in row.seeds]),
            json.dumps(settings, default=str),
            json.dumps(dict(row.versions)),
            row.started_at,
            row.n_episodes,
            row.n_steps,
        ),
    )


def update_run(run_id: str, status: str, stop_reason: str | None, finished_at: str) -> Statement:
    """Make the statement that records how a run ended."""
    return (
        "UPDATE experiment SET status = ?, stop_reason = ?, finished_at = ? WHERE run_id = ?",
        (status, stop_reason, finished_at, run_id),
    )


def insert_episode(run_id: str, row: EpisodeRow) -> list[Statement]:
    """Make the statements that record an episode and its metrics."""
    key = (run_id, int(row.seed), int(row.episode))
    counts = (int(row.step), int(row.updates), float(row.reward), int(row.length))
    end = (int(row.terminated), int(row.truncated), int(row.reset_seed))
    window = (float(row.window_mean), float(row.window_std), float(row.window_max), int(row.window_count))
    values = (*key, *counts, *end, *window, float(row.seconds))
    episode = (f"INSERT OR REPLACE INTO episode VALUES ({', '.join('?' * len(values))})", values)
    metric = "INSERT OR REPLACE INTO metric VALUES (?, ?, ?, ?, ?)"
    return [episode, *((metric, (*key, name, float(value))) for name, value in row.metrics.items())]


def insert_evaluation(run_id: str, row: EvaluationRow) -> Statement:
    """Make the statement that records a round of evaluation; a return that isn't finite is null in its JSON."""
    returns = [float(value) for value in row.returns]
    listed = json.dumps([value if math.isfinite(value) else None for value in returns])
    return (
        "INSERT OR REPLACE INTO evaluation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (run_id, int(row.seed), int(row.step), int(row.episode), row.mean, row.std, min(returns), max(returns), listed),
    )


def insert_logged(run_id: str, row: LoggedRow) -> Statement:
    """Make the statement that records a number of a callback's; the newest of a name at one place stays."""
    values = (run_id, int(row.seed), row.name, int(row.step), int(row.updates), int(row.episode), row.value)
    return "INSERT OR REPLACE INTO logged VALUES (?, ?, ?, ?, ?, ?, ?)", values


def delete_after(run_id: str, seed: int, episode: int, step: int, updates: int) -> list[Statement]:
    """Make the statements that remove what comes later of a seed: episodes, their metrics, evaluations, logged numbers.

    A number that was logged at ``step`` itself may be of an update after it, hence ``updates``.
    """
    own = run_id, int(seed)
    late = "SELECT episode FROM episode WHERE run_id = ? AND seed = ? AND step > ?"
    by_both, values = f"episode > ? OR episode IN ({late})", (*own, int(episode), *own, int(step))
    return [
        (f"DELETE FROM metric WHERE run_id = ? AND seed = ? AND ({by_both})", values),
        (f"DELETE FROM episode WHERE run_id = ? AND seed = ? AND ({by_both})", values),
        ("DELETE FROM evaluation WHERE run_id = ? AND seed = ? AND step > ?", (*own, int(step))),
        (
            "DELETE FROM logged WHERE run_id = ? AND seed = ? AND (step > ? OR updates > ?)",
            (*own, int(step), int(updates)),
        ),
    ]
