"""Open a run store for reading only, so that a training run that is still writing is never disturbed."""

from __future__ import annotations

import math
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

from velora.core.errors import RunDirectoryError
from velora.metrics.schema import DATABASE_NAME
from velora.metrics.store import RunStore

Source: TypeAlias = str | Path | RunStore
"""A run directory, its ``metrics.db``, or the store of a run in this process."""

_BUSY_TIMEOUT_S = 5.0
_SOMETHING_ELSE = (TypeError, ValueError, LookupError, AttributeError, OverflowError, RecursionError)
"""What values raise that no run has written."""


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
def open_store(source: Source) -> Iterator[sqlite3.Connection]:
    """Open a store for reading, with rows that know their column names.

    What is made of the rows is made within the ``with``: a file may hold anything, and what can't be a run's rows is
    its fault.

    Raises:
        RunDirectoryError: if there is no store at ``source``, or it holds something else.
    """
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
    except (sqlite3.Error, *_SOMETHING_ELSE) as error:
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
    uri = f"file:{quote(os.fsencode(file))}?mode=ro"  # bytes: a name need not be UTF-8
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


def number(value: float | None) -> float:
    """Turn NULL back into NaN."""
    return math.nan if value is None else float(value)
