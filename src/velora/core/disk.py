"""Write so that it stays: whole files, and waiting until the device has them, names of files and directories too."""

from __future__ import annotations

import errno
import glob
import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

if sys.platform != "win32":
    import fcntl

_SUFFIX_BYTES: Final = 4
_DEVICES: Final = (Path("/dev"), Path("/dev/fd"))
"""Directories of what is no file; those below, such as ``/dev/shm``, are directories as any other."""
_UNSUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


def sync(descriptor: int) -> None:
    """Wait until the device has the data (on macOS ``fsync`` alone stops at the drive's cache)."""
    if sys.platform == "darwin":
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable; Windows has no such call.

    Raises:
        OSError: as the system reports it.
    """
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)


def make_directory(path: Path) -> None:
    """Make a directory where it is missing, its parents too, and their names durable.

    Raises:
        OSError: as the system reports it.
    """
    missing = [one for one in (path, *path.parents) if not one.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for made in missing:
        with suppress(PermissionError):  # one may make names in a directory that one may not read
            sync_directory(made.parent)


def write_text(path: Path, text: str) -> None:
    """Write a file in one step, and wait until the device has it; its directory is made where it is missing.

    A reader finds the old file whole or the new one. A link of that name is replaced, not followed. Names that aren't
    UTF-8 are written with backslashes. Streams of this process and devices, such as ``/dev/stdout``, are written to.

    Raises:
        OSError: as the system reports it; an older file stays then.
    """
    if path.parent in _DEVICES:
        with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
            stream.write(text)
        return
    make_directory(path.parent)
    staged = path.with_name(f".{path.name}.{secrets.token_hex(_SUFFIX_BYTES)}")
    try:
        with staged.open("x", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.write(text)
            file.flush()
            sync(file.fileno())
        staged.replace(path)
        sync_directory(path.parent)
    finally:
        with suppress(OSError):
            staged.unlink(missing_ok=True)


def check_place(path: Path) -> None:
    """Check that :func:`write_text` can put a file there, as far as it can be known before; nothing is made.

    Raises:
        OSError: as the system would report it.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    there = next(one for one in path.parents if os.path.lexists(one))
    if not there.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(there))
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(there))


def is_working_directory(path: Path) -> bool:
    """Return whether an absolute path is the working directory; one that was removed is none."""
    try:
        return path == Path.cwd()
    except FileNotFoundError:
        return False


def left_over(path: Path) -> list[Path]:
    """List what kills have left of writing a file: no reader looks at them, and no other process may be writing it."""
    digits = "[0-9a-f]" * 2 * _SUFFIX_BYTES
    return sorted(path.parent.glob(f".{glob.escape(path.name)}.{digits}"))


def links_out(directory: Path, *, depth: int) -> list[Path]:
    """Find the links in a directory, and so many levels below, that lead out of it: a stranger's may lead anywhere.

    Raises:
        OSError: as the system reports it.
    """
    home, level, found = directory.resolve(), [directory], list[Path]()
    for _ in range(depth + 1):
        entries = [entry for path in level for entry in sorted(path.iterdir())]
        found += [path for path in entries if path.is_symlink() and not path.resolve().is_relative_to(home)]
        level = [path for path in entries if path.is_dir() and not path.is_symlink()]
    return found
