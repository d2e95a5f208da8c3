"""Small files of JSON that are there whole or not at all."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from velora.core import disk
from velora.core.errors import RunDirectoryError

MOST_BYTES: Final = 1 << 26


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file in one step, and wait until the device has it; its directory is made where it is missing.

    Raises:
        OSError: as the system reports it; an older file stays then.
    """
    disk.write_text(path, json.dumps(content, indent=1) + "\n")


def read(path: Path) -> Any:
    """Read a file; ``None`` if it isn't there.

    Raises:
        RunDirectoryError: if it can't be read, is no JSON, is no file, or is far too large.
    """
    try:
        with open(path, encoding="utf-8", opener=_without_waiting) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
                raise RunDirectoryError(f"{path}: expected a small file, of at most {MOST_BYTES:,} bytes")
            return json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise RunDirectoryError(f"{path} can't be read: {error}") from error


def _without_waiting(path: str, flags: int) -> int:
    """Open what may be a pipe, for whose other end opening would wait for ever."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
