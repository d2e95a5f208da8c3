"""Write statements to SQLite in batches, and outlive whatever happens to the file."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from velora.core import disk
from velora.metrics.schema import Statement, connect, sync

logger = logging.getLogger(__name__)

_CLOSING_TIMEOUT_S = 5.0
_SLOW_S = 1.0
_REST = 9
"""How many times as long as a slow attempt it is left alone after one that failed."""


class BatchWriter:
    """Collect statements and execute many of them to a commit.

    While the database is locked, read-only, full or damaged the statements wait in memory, at most ``max_pending``
    of them; one warning is logged, and they are tried again every ``interval_s``. Where an attempt takes long, as on a
    full disk, on which SQLite itself goes on trying for ten seconds, they take a tenth of the time at most. A file that
    was deleted is made anew. No failure of the database is raised.
    """

    def __init__(
        self, path: Path | None, *, batch_rows: int, interval_s: float, max_pending: int, busy_timeout_s: float
    ) -> None:
        """Make the writer; nothing is opened before the first write. The arguments are RunStore's."""
        self.dropped = 0
        self._path = path
        self._batch_rows = batch_rows
        self._interval_s = interval_s
        self._max_pending = max_pending
        self._busy_timeout_s = busy_timeout_s
        self._pending: deque[Statement] = deque(maxlen=max_pending)
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._first: Statement | None = None
        self._has_first = False
        self._is_failing = False
        self._is_synced, self._is_named = True, False
        self._next_write_s = self._rest_until_s = 0.0

    @property
    def pending(self) -> int:
        """How many statements wait."""
        return len(self._pending)

    @property
    def connection(self) -> sqlite3.Connection | None:
        """The open connection, or None."""
        return self._connection

    def lead_with(self, statement: Statement) -> None:
        """Execute a statement before all others, in every file that is opened from now on; write it now."""
        self._first, self._has_first = statement, False
        self.flush()

    def add(self, statements: Iterable[Statement]) -> None:
        """Let statements wait; write if there are many, or if the last write is long ago."""
        for statement in statements:
            self.dropped += len(self._pending) == self._max_pending
            self._pending.append(statement)
        is_batch = len(self._pending) >= self._batch_rows and not self._is_failing
        if is_batch or time.monotonic() >= self._next_write_s:
            self.flush()

    def flush(self) -> bool:
        """Write everything that waits in one commit; return False if the database didn't take it."""
        began_s = time.monotonic()
        if began_s < self._rest_until_s:
            return False
        self._next_write_s = began_s + self._interval_s
        try:
            self._write()
        except (sqlite3.Error, OSError) as error:
            self._report_failure(error)
            took_s = time.monotonic() - began_s
            if took_s > _SLOW_S:
                self._next_write_s = self._rest_until_s = began_s + took_s * (1 + _REST)
            return False
        if self._is_failing:
            logger.warning("metrics: %s can be written again; %d rows were lost", self._path, self.dropped)
            self._is_failing = False
        return True

    def wait_for_disk(self) -> bool:
        """Wait, in any thread, until the device has what was committed before; return False if it didn't take it."""
        if self._path is None or self._is_synced:
            return True
        self._is_synced = True  # from here on; a commit meanwhile, by the thread that writes, takes it back
        try:
            sync(self._path)
            if not self._is_named:  # the log is made when the file is opened, and stays
                disk.sync_directory(self._path.parent)
        except OSError as error:
            self._is_synced = False
            logger.warning("metrics: %s: the disk doesn't confirm that it has the newest rows (%s)", self._path, error)
            return False
        self._is_named = True
        return True

    def close(self) -> None:
        """Write what waits, with more patience for a lock, and close the file. Closing twice is harmless."""
        if self._connection is None and not self._pending:
            return
        self._busy_timeout_s, self._rest_until_s = max(self._busy_timeout_s, _CLOSING_TIMEOUT_S), 0.0
        if self._connection is not None:
            self._connection.execute(f"PRAGMA busy_timeout={round(1000 * self._busy_timeout_s)}")
        if not self.flush():
            logger.error("metrics: %d rows could not be written to %s and are lost", self.pending, self._path)
            self._pending.clear()
        self._disconnect()

    def _write(self) -> None:
        """Execute what waits in one transaction, and forget it once that is committed."""
        connection = self._connect()
        if self._has_first and not self._pending:
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            if self._first is not None and not self._has_first:
                connection.execute(*self._first)
            for statement in self._pending:
                connection.execute(*statement)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._has_first = True
        self._is_synced = False
        self._pending.clear()

    def _connect(self) -> sqlite3.Connection:
        """Return the connection, opening the file if it isn't, or is no longer the one of this name."""
        if self._connection is not None and _identity(self._path) != self._identity:
            logger.warning("metrics: %s was deleted or replaced; the rows written before are lost", self._path)
            self._disconnect()
        if self._connection is None:
            self._connection = connect(self._path, busy_timeout_s=self._busy_timeout_s)
            self._identity = _identity(self._path)
            self._has_first = self._is_named = False
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _report_failure(self, error: Exception) -> None:
        """Log the first of a series of failures."""
        if not self._is_failing:
            logger.warning(
                "metrics: %s can't be written (%s); training goes on, up to %d rows wait in memory and are tried "
                "again until it can",
                self._path,
                error,
                self._max_pending,
            )
        self._is_failing = True


def _identity(path: Path | None) -> tuple[int, int] | None:
    """Return what tells this file from another one of the same name, or None if there is none."""
    if path is None:
        return None
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino
