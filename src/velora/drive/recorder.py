"""The recorder: every tick is a row in a file before the next one begins, so that a kill loses nothing."""

from __future__ import annotations

import csv
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.core.errors import SettingError
from velora.core.extras import how_to_install
from velora.drive.plant import Reading

MISSING, LATE, SAFE, BEGINS, TERMINATED, TRUNCATED = 1, 2, 4, 8, 16, 32
"""Flags of a row: no new reading; a missed deadline; the safe action was written; and what the reading said."""
FORMATS = (".npy", ".csv", ".parquet")
_JOURNAL = ".journal"
_MAGIC = b"velora drive 1\n"
_TOGETHER = 50_000


def row_type(n_observations: int, n_actions: int) -> np.dtype[Any]:
    """Return the type of a row, which ``native/loop.c`` writes too.

    ``due_ns``, ``began_ns`` and ``acted_ns`` are of the loop's clock, ``sensed_ns`` of the plant's, 0 without a
    reading. ``dt`` is in control steps, 0 where the policy made no step.
    """
    return np.dtype(
        [
            ("tick", "<i8"), ("due_ns", "<i8"), ("began_ns", "<i8"), ("acted_ns", "<i8"), ("sensed_ns", "<i8"),
            ("dt", "<f4"), ("reward", "<f4"), ("flags", "<u4"),
            ("obs", "<f4", (n_observations,)), ("action", "<f4", (n_actions,)),
        ]
    )  # fmt: skip


def check_format(out: Path) -> None:
    """Check that a recording can be written there.

    Raises:
        SettingError: if the ending is unknown, its library isn't installed, there is no place for a file, or another
            drive's journal is there.
    """
    if out.suffix not in FORMATS:
        raise SettingError(f"record: expected a file that ends with one of {', '.join(FORMATS)}, got {out.name!r}")
    if out.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise SettingError(f"record: .parquet needs pyarrow; {how_to_install('parquet')}, or choose .csv or .npy")
    if not out.parent.is_dir():
        raise SettingError(f"record: there is no directory {out.parent}; make it, or choose another")
    if os.path.isdir(out):  # False too for a name that the system refuses, which opening tells of
        raise SettingError(f"record: {out} is a directory; choose the name of a file")
    if os.path.lexists(journal := journal_of(out)):
        raise _taken(journal)


def journal_of(out: Path) -> Path:
    """Return the file that rows go to while a drive lasts."""
    return Path(f"{out}{_JOURNAL}")


def _taken(journal: Path) -> SettingError:
    return SettingError(
        f"record: {journal} is there, of a drive that was killed, or still goes on; read it with "
        "velora.drive.read_recording and move it away, or choose another name"
    )


class Recorder:
    """Write a row for every tick to ``<out>.journal``, and bring it to the format of ``out`` at the end.

    A row is one ``write`` of the system: after a kill -9 the journal holds every tick, and :func:`read_recording` reads
    it, and no later drive writes over it. Only a crash of the whole machine loses what its disk didn't have yet.

    Args:
        out: the file, ``.parquet``, ``.csv`` or ``.npy``.

    Raises:
        SettingError: if it can't be written.
    """

    def __init__(self, out: Path, *, n_observations: int, n_actions: int) -> None:
        check_format(out)
        self.out, self.journal = out, journal_of(out)
        self._row = np.zeros(1, row_type(n_observations, n_actions))
        self._bytes = self._row.view(np.uint8).data
        try:
            self.descriptor = os.open(self.journal, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
        except FileExistsError as error:
            raise _taken(self.journal) from error
        except OSError as error:
            raise SettingError(f"record: {self.journal} can't be written ({error.strerror})") from error
        os.write(self.descriptor, _MAGIC + np.array([n_observations, n_actions], "<i8").tobytes())

    def add(
        self,
        tick: int,
        due_ns: int,
        began_ns: int,
        acted_ns: int,
        dt: float,
        flags: int,
        reading: Reading | None,
        action: NDArray[Any] | None,
    ) -> None:
        """Write the row of a tick.

        Raises:
            SettingError: if the disk is full.
        """
        row = self._row
        row["obs"], row["action"] = 0.0, 0.0
        sensed_ns, reward = 0, 0.0
        if reading is not None:
            sensed_ns, reward = reading.time_ns, reading.reward
            flags |= reading.begins * BEGINS | reading.terminated * TERMINATED | reading.truncated * TRUNCATED
            row["obs"] = reading.obs
        if action is not None:
            row["action"] = action
        names = ("tick", "due_ns", "began_ns", "acted_ns", "sensed_ns", "dt", "reward", "flags")
        for name, value in zip(names, (tick, due_ns, began_ns, acted_ns, sensed_ns, dt, reward, flags), strict=True):
            row[name] = value
        try:
            written = os.write(self.descriptor, self._bytes)
        except OSError as error:
            raise SettingError(f"record: {self.journal} can't be written ({error.strerror}); make room") from error
        if written != len(self._bytes):
            raise SettingError(f"record: {self.journal} can't be written any more; make room")

    def close(self) -> Path:
        """Bring the rows to the format of ``out``, and return that; the journal goes when the file is whole.

        Raises:
            SettingError: if the disk is full; the journal stays.
        """
        os.close(self.descriptor)
        part = self.out.with_name(f".{self.out.name}.part")
        try:
            _WRITERS[self.out.suffix](_rows_of(self.journal), part)
            part.replace(self.out)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise SettingError(
                f"record: {self.out} can't be written ({error.strerror}); {self.journal} stays"
            ) from error
        self.journal.unlink()
        return self.out


def read_recording(path: str | Path) -> NDArray[Any]:
    """Read a recording as an array of rows: ``rows["dt"]``, ``rows["obs"]`` (n, O), ``rows["action"]`` (n, A).

    Args:
        path: of the file, or of the journal that a killed drive leaves; a row that the kill cut off is left out.

    Raises:
        SettingError: if it is no recording of this program's.
    """
    path = Path(path)
    if not path.is_file():
        raise SettingError(f"{path}: there is no such recording")
    if path.suffix == _JOURNAL:
        return _rows_of(path)
    if path.suffix == ".npy":
        try:
            rows: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise SettingError(f"{path}: expected a recording of velora drive, got no whole .npy file") from error
        if rows.dtype.names != row_type(1, 1).names:
            raise SettingError(f"{path}: expected a recording of velora drive, got an array of {rows.dtype}")
        return rows
    raise SettingError(f"{path}: expected a .npy file or a {_JOURNAL}; read .csv and .parquet with pandas")


def _rows_of(journal: Path) -> NDArray[Any]:
    with journal.open("rb") as file:
        head = file.read(len(_MAGIC) + 16)
    if not head.startswith(_MAGIC) or len(head) < len(_MAGIC) + 16:
        raise SettingError(f"{journal}: expected a journal of velora drive")
    n_observations, n_actions = np.frombuffer(head, "<i8", offset=len(_MAGIC)).tolist()
    if not (0 < n_observations < 1_000_000 and 0 < n_actions < 1_000_000):
        raise SettingError(f"{journal}: its header is damaged")
    row = row_type(n_observations, n_actions)
    n = (journal.stat().st_size - len(head)) // row.itemsize
    if n == 0:
        return np.zeros(0, row)
    return np.memmap(journal, row, "r", offset=len(head), shape=(n,))


def _columns(rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Split rows into columns of numbers: ``obs_0``, ``obs_1`` and so on."""
    columns: dict[str, NDArray[Any]] = {}
    for name in rows.dtype.names or ():
        column = rows[name]
        columns |= {name: column} if column.ndim == 1 else {f"{name}_{k}": column[:, k] for k in range(column.shape[1])}
    return columns


def _parts(rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
    for at in range(0, max(1, len(rows)), _TOGETHER):
        yield rows[at : at + _TOGETHER]


def _write_npy(rows: NDArray[Any], path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, rows)


def _write_csv(rows: NDArray[Any], path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_columns(rows[:0]))
        for part in _parts(rows):
            writer.writerows(zip(*(column.tolist() for column in _columns(part).values()), strict=True))


def _write_parquet(rows: NDArray[Any], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def table(part: NDArray[Any]) -> Any:
        return pa.table({name: pa.array(np.ascontiguousarray(column)) for name, column in _columns(part).items()})

    with pq.ParquetWriter(path, table(rows[:0]).schema) as writer:
        for part in _parts(rows):
            writer.write_table(table(part))


_WRITERS = {".npy": _write_npy, ".csv": _write_csv, ".parquet": _write_parquet}
