"""The table at the end of a sweep, over seeds: printed, and as CSV in the sweep's directory."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from velora.analysis.collection import Runs
from velora.analysis.find import read_runs
from velora.analysis.rows import Rows
from velora.analysis.summary import COLUMNS, FEWEST_SEEDS, summarise
from velora.analysis.table import as_csv, as_lines
from velora.core import disk

log = logging.getLogger(__name__)

NAME: Final = "table.csv"
"""The file in the directory of a sweep."""
_SPARE: Final = ("time", "best", "low", "high")


def sweep_table(jobs: Mapping[Path, Sequence[str]], *, shorter: Collection[Path] = ()) -> Rows:
    """Summarise the jobs of a sweep over their seeds; see :func:`velora.analysis.summary.summarise`.

    Args:
        jobs: the directory of each, and the words ``name=value`` in which it differs from the others.
        shorter: directories whose runs ended with a smaller budget than they are to have: they count as unfinished.
    """
    found = (run for directory in jobs for run in read_runs(directory))
    runs = Runs(replace(run, status="interrupted") if run.directory in shorter else run for run in found)
    return summarise(runs, {directory: dict(map(_parted, words)) for directory, words in jobs.items()})


def _parted(word: str) -> tuple[str, str]:
    name, _, value = word.lstrip("+").partition("=")
    return name, value


def table_lines(rows: Rows, *, width: int | None = None) -> list[str]:
    """Write the table for people: with what differs only, and a line that says what its numbers are.

    Args:
        rows: of :func:`sweep_table`.
        width: letters of a line; ``None`` is the terminal's, or as many as it takes where there is none.
    """
    if not rows:
        return []
    if width is None and sys.stdout is not None and sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
    varying = [name for name in ("agent", "env") if len(set(rows.column(name))) > 1]
    settings = [name for name in rows.columns() if name not in COLUMNS]
    empty = [name for name in ("low", "high") if all(value is None for value in rows.column(name))]
    empty += [] if any(rows.column("unfinished")) else ["unfinished"]
    numbers = [name for name in COLUMNS if name not in ("agent", "env", *empty)]
    return [*as_lines(rows, [*varying, *settings, *numbers], width=width, spare=_SPARE), *_legend(rows)]


def save_table(directory: Path, rows: Rows) -> Path | None:
    """Write the table as CSV into the directory of a sweep; what the system refuses is logged, and returns ``None``."""
    path = directory / NAME
    try:
        disk.write_text(path, as_csv(rows, rows.columns() or list(COLUMNS)))
    except OSError as error:
        log.warning("%s can't be written (%s)", path, error.strerror)
        return None
    return path


def _legend(rows: Rows) -> list[str]:
    """Explain ``return``, ``low`` and ``high``."""
    most = max(rows.column("seeds"))
    if most < 2:
        return []
    of = "mean" if most <= FEWEST_SEEDS else f"interquartile mean (of up to {FEWEST_SEEDS} seeds the mean)"
    interval = "; low to high: its 95 % bootstrap interval" if most >= FEWEST_SEEDS else ""
    return [f"return: {of} over seeds{interval}; best: the best seed"]
