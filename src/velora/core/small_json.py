"""Small files of JSON that are there whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
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
    disk.make_directory(path.parent)
    staged = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with staged.open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.write("\n")
            file.flush()
            disk.sync(file.fileno())
        staged.replace(path)
        disk.sync_directory(path.parent)
    finally:
        with contextlib.suppress(OSError):
            staged.unlink(missing_ok=True)


def read(path: Path) -> Any:
    """Read a file; ``None`` if it isn't there.

    Raises:
        RunDirectoryError: if it can't be read, is no JSON, or is far too large.
    """
    try:
        with path.open(encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_size > MOST_BYTES:
                raise RunDirectoryError(f"{path}: expected a small file, got more than {MOST_BYTES:,} bytes")
            return json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise RunDirectoryError(f"{path} can't be read: {error}") from error
