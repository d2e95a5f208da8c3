"""Read what the shim wrote down: every write-side call of a process, in order, with its data."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.reliability.shim import KINDS

_RECORD: Final = struct.Struct("<BBHHHqQ")


@dataclass(frozen=True, slots=True)
class Call:
    """One call that succeeded.

    Attributes:
        kind: one of ``KINDS``.
        path: what it was made on, below the watched directory; of a mark its text.
        other: the second path, of a rename, an exchange or a link.
        offset: where data were written; the new size, of a truncation.
        data: what was written.
        is_new: an open that made the file (or else emptied it).
    """

    kind: str
    path: str
    other: str = ""
    offset: int = 0
    data: bytes = b""
    is_new: bool = False

    def __str__(self) -> str:
        """Show the call, for the name of a case."""
        other = f" -> {self.other}" if self.other else ""
        size = f" {len(self.data)} bytes at {self.offset}" if self.kind == "write" else ""
        return f"{self.kind} {self.path}{other}{size}"


def read(raw: bytes, below: Path) -> list[Call]:
    """Take a trace apart; paths become relative to the watched directory."""
    return list(_calls(raw, os.fspath(below)))


def _calls(raw: bytes, root: str) -> Iterator[Call]:
    position = 0
    while position < len(raw):
        kind, flag, first, second, _, offset, length = _RECORD.unpack_from(raw, position)
        position += _RECORD.size
        one = os.fsdecode(raw[position : position + first])
        two = os.fsdecode(raw[position + first : position + first + second])
        position += first + second
        name = KINDS[kind]
        data = b""
        if name == "write":
            data = raw[position : position + length]
            position += length
        path = one if name == "mark" else _relative(one, root)
        yield Call(name, path, _relative(two, root), offset, data, bool(flag))


def _relative(path: str, root: str) -> str:
    return os.path.relpath(path, root) if path else ""
