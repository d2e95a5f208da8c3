"""Follow many runs from their directories alone: those that have ended are read once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final, TypeAlias

from velora.analysis.collection import Runs
from velora.analysis.find import read_runs
from velora.analysis.outcome import FAILURE, RESULT
from velora.analysis.run import Run
from velora.metrics import DATABASE_NAME

Mark: TypeAlias = tuple[tuple[int, int] | None, ...]
"""Size and time of each file that changes when something happens to a run."""

_MARKS: Final = (DATABASE_NAME, f"{DATABASE_NAME}-wal", RESULT, FAILURE)
_MAY_CHANGE: Final = frozenset({"running", "waiting", "unknown", "dead"})
"""What a run may be without one of these files changing from one look to the next: a lock is none of them."""


class Follower:
    """Read the runs in some directories again and again.

    Args:
        find: lists the directories of the runs, also those that are still to be made.
        find_every_s: how long a list stays good, in seconds.
    """

    def __init__(self, find: Callable[[], Collection[Path]], *, find_every_s: float = 5.0) -> None:
        self._find, self._find_every_s = find, find_every_s
        self._directories: Collection[Path] = ()
        self._found_at_s = -find_every_s
        self._kept: dict[Path, tuple[Mark, list[Run]]] = {}

    def read(self) -> Runs:
        """Return the runs as they are now."""
        now = time.monotonic()
        if now - self._found_at_s >= self._find_every_s:
            self._directories, self._found_at_s = self._find(), now
        return Runs(run for directory in self._directories for run in self._read(directory))

    def _read(self, directory: Path) -> list[Run]:
        mark = tuple(_mark(directory / name) for name in _MARKS)
        before = self._kept.get(directory)
        if before is not None and before[0] == mark:
            return before[1]
        runs = read_runs(directory)
        if runs[-1].status in _MAY_CHANGE:
            self._kept.pop(directory, None)
        else:
            self._kept[directory] = mark, runs
        return runs


def _mark(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
