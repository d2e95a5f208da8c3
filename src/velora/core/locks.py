"""Tell whether a process holds a lock, without getting into its way."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

if sys.platform != "win32":
    import fcntl

PATIENCE_S: Final = 0.5
"""How long whoever wants a lock should wait for it: those that only look (:func:`is_held`) have it for a moment."""
_HELD: Final = frozenset({errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK})


def is_held(path: Path) -> bool | None:
    """Return whether a live process holds the lock file; ``None`` if there is no such file, or no telling.

    The lock is of the ``filelock`` library, which is ``flock`` on Unix: it ends with the process that holds it. A
    shared lock is tried for a moment. The file isn't made where it is missing.
    """
    if sys.platform == "win32":
        return _is_held_on_windows(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return True if error.errno in _HELD else None
    else:
        return False
    finally:
        os.close(descriptor)


def _is_held_on_windows(path: Path) -> bool | None:
    if not path.exists():
        return None
    try:
        with FileLock(path).acquire(timeout=0):
            return False
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return None
