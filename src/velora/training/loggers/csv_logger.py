"""Lightning's CSV logger, so that a kill loses nothing and a resumed run goes on in its table."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import csv_logs


class Table(csv_logs.ExperimentWriter):
    """A table in a file that is whole at every moment.

    Args:
        log_dir: its directory.
        rows_until: which rows of a table that is there already stay, as in :class:`CSVLogger`.
    """

    def __init__(self, log_dir: str, rows_until: Mapping[str, int]) -> None:
        super().__init__(log_dir)
        path = Path(self.metrics_file_path)
        if path.exists():
            rows = [row for row in _read(path) if _stays(row, rows_until)]
            self.metrics_keys = list(rows[0]) if rows else []
            self._write_anew(rows)

    def save(self) -> None:
        """Add the rows that wait to the file; a new column is a new file in the place of the old one."""
        if not self.metrics:
            return
        path = Path(self.metrics_file_path)
        new = set().union(*self.metrics) - set(self.metrics_keys)
        if new or not path.exists():
            rows = _read(path) if path.exists() else []
            self.metrics_keys = ["step", *sorted({*self.metrics_keys, *new} - {"step"})]
            self._write_anew([*rows, *self.metrics])
        else:
            with path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self.metrics_keys).writerows(self.metrics)
        self.metrics = []

    def _write_anew(self, rows: list[dict[str, Any]]) -> None:
        staged = Path(f"{self.metrics_file_path}.new")
        with staged.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.metrics_keys)
            writer.writeheader()
            writer.writerows(rows)
        os.replace(staged, self.metrics_file_path)

    def _check_log_dir_exists(self) -> None:
        """Keep the table that is there, which Lightning would delete."""


class CSVLogger(csv_logs.CSVLogger):
    """Table of all numbers, a row for each time that some are logged: ``<save_dir>/csv/metrics.csv``.

    Args:
        save_dir: the directory of the run.
        name: of the directory in it.
        version: of a directory in that; ``""`` for none.
        prefix: of the names of metrics.
        flush_logs_every_n_steps: environment steps between two writes; 1 writes each row at once.
        rows_until: for each prefix of the metrics' names the step of the last row that stays in a table that is there
            already.
    """

    def __init__(
        self,
        save_dir: str | Path,
        name: str | None = "csv",
        version: int | str | None = "",
        prefix: str = "",
        flush_logs_every_n_steps: int = 1,
        rows_until: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(save_dir, name, version, prefix, flush_logs_every_n_steps)
        own = f"{prefix}{self.LOGGER_JOIN_CHAR}" if prefix else ""
        self._rows_until = {own + name: step for name, step in (rows_until or {}).items()}

    @property
    def experiment(self) -> Table:
        """The table."""
        if not isinstance(self._experiment, Table):
            self._experiment = Table(self.log_dir, self._rows_until)
        return self._experiment


def _read(path: Path) -> list[dict[str, Any]]:
    """Read the whole lines of a table; a kill may have left half a line at its end."""
    whole, end, _ = path.read_text(encoding="utf-8").rpartition("\n")
    return list(csv.DictReader(f"{whole}{end}".splitlines()))


def _stays(row: Mapping[str, str], rows_until: Mapping[str, int]) -> bool:
    """Return whether a row is of the part of the run that goes on."""
    names = [name for name, value in row.items() if name != "step" and value]
    return all(
        int(row["step"]) <= until
        for prefix, until in rows_until.items()
        if any(name.startswith(prefix) for name in names)
    )
