"""The few things a checkpoint needs of the operating system: safe opens, durable writes, atomic exchange."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Final

from velora.core.disk import sync
from velora.core.errors import CheckpointError, NonFiniteError

if sys.platform != "win32":
    import fcntl

_READ: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_PIECE_BYTES: Final = 4 << 20
_RENAME_EXCHANGE: Final = 2
_AT_FDCWD: Final = -100
_UNSUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


class MissingCheckpointError(CheckpointError, FileNotFoundError):
    """Report a checkpoint, or a file of one, that isn't there."""


class UnwritableCheckpointError(CheckpointError, OSError):
    """Report a save that the operating system refused, as a full disk does; the next one may succeed."""


class NonFiniteCheckpointError(CheckpointError, NonFiniteError):
    """Report a save that was refused since a weight, or a number of an optimizer, is NaN or infinity."""


def reason(error: OSError) -> str:
    """Describe in a few words what the operating system refused."""
    return error.strerror or type(error).__name__


@contextmanager
def open_regular(path: Path) -> Iterator[FileIO]:
    """Open a regular file for reading; never follow a link, never wait on a pipe, never map it into memory.

    Raises:
        MissingCheckpointError: if it doesn't exist.
        CheckpointError: if it is anything but a regular file, or can't be read.
    """
    try:
        with FileIO(path, "r", opener=lambda name, _: os.open(name, _READ)) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise CheckpointError(f"{path}: expected a regular file, found something else; restore it from a copy")
            yield stream
    except FileNotFoundError as error:
        if isinstance(error, MissingCheckpointError):
            raise
        raise MissingCheckpointError(f"{path}: no such file; check the path or load another checkpoint") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise CheckpointError(f"{path}: a symbolic link, expected a regular file; copy the file itself") from error
        raise CheckpointError(
            f"{path}: can't be read ({reason(error)}); check it or load another checkpoint"
        ) from error


def read_small(path: Path, limit: int) -> bytes:
    """Read a whole file of at most ``limit`` bytes.

    Raises:
        MissingCheckpointError: if it doesn't exist.
        CheckpointError: if it is larger, not a regular file, or can't be read.
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > limit:
            raise CheckpointError(f"{path}: expected at most {limit} bytes, found {size}; it is damaged or foreign")
        pieces = []
        while piece := stream.read(limit + 1):
            pieces.append(piece)
        return b"".join(pieces)


def read_pieces(path: Path) -> Generator[bytes, None, None]:
    """Read a file a few megabytes at a time.

    Raises:
        MissingCheckpointError: if it doesn't exist.
        CheckpointError: if it is not a regular file, or can't be read.
    """
    with open_regular(path) as stream:
        while piece := stream.read(_PIECE_BYTES):
            yield piece


def list_names(path: Path) -> list[str]:
    """List the names in a directory.

    Raises:
        CheckpointError: if it can't be read.
    """
    try:
        return os.listdir(path)
    except OSError as error:
        raise CheckpointError(
            f"{path}: can't be read ({reason(error)}); check it or load another checkpoint"
        ) from error


def memory_bytes() -> int | None:
    """Return how much memory this machine has, or None where it can't be asked."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def open_new(path: Path) -> int:
    """Open a file for writing that must not exist.

    Raises:
        OSError: as the system reports it.
    """
    return os.open(path, _WRITE, 0o666)


@contextmanager
def create(path: Path) -> Iterator[int]:
    """Create a file that must not exist, yield its descriptor, and make its content durable at the end.

    Raises:
        OSError: as the system reports it.
    """
    descriptor = open_new(path)
    try:
        yield descriptor
        sync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write every byte, however few the system takes at a time.

    Raises:
        OSError: as the system reports it.
    """
    view = memoryview(data)
    while len(view):
        view = view[os.write(descriptor, view) :]


def begin_sync(descriptor: int) -> None:
    """Let the system write the data to the device in the meantime, where it can be asked to.

    Files that are on their way together cost about as much as one when :func:`sync` waits for each.
    """
    if sys.platform == "linux":
        with suppress(OSError):  # a hint only; what fails is for sync to report
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def exchange(first: Path, second: Path) -> bool:
    """Swap two directories in one step.

    Returns:
        False where the system or the filesystem has no such operation (nothing was changed).

    Raises:
        OSError: if the swap is known but fails.
    """
    if _renameat2 is None:
        return False
    if _renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(first), None, str(second))


def lock_directory(path: Path) -> int | None:
    """Take the lock that says "a live process works in here"; the kernel drops it when that process dies.

    Returns:
        The descriptor that holds the lock, or None where directories can't be locked.

    Raises:
        BlockingIOError: if another writer holds it.
        FileNotFoundError: if the directory is gone.
    """
    if sys.platform == "win32":
        return None
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _find_renameat2() -> ctypes._NamedFuncPointer | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    function.restype = ctypes.c_int
    return function


_renameat2: Final = _find_renameat2()
