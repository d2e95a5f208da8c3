"""Hold the directory of a run while it lasts, so that no other process writes to it, and all see that it lives."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from velora.checkpoint.layout import LOCK_NAME
from velora.core import disk
from velora.core.errors import RunDirectoryError
from velora.core.locks import PATIENCE_S

log = logging.getLogger(__name__)


@contextlib.contextmanager
def held(run_dir: Path | None) -> Iterator[None]:
    """Hold a run's directory; what this thread holds already, as a command does, it holds twice.

    The operating system drops the lock of a process that dies. Where there can't be one, as on a full disk, the run
    goes on without.

    Raises:
        RunDirectoryError: if another process, or another thread, trains in it.
    """
    if run_dir is None:
        yield
        return
    path = run_dir.absolute() / LOCK_NAME
    lock = FileLock(path, is_singleton=True)
    was_held = lock.is_locked
    try:
        disk.make_directory(path.parent)
        lock.acquire(timeout=PATIENCE_S, poll_interval=0.01)
    except Timeout:
        raise RunDirectoryError(
            f"{run_dir}: another process trains in this directory; give each run a run_dir of its own"
        ) from None
    except (OSError, NotImplementedError) as error:
        log.debug("%s can't be locked (%s)", run_dir, error)
        yield
        return
    try:
        yield
    finally:
        if not was_held:
            with contextlib.suppress(OSError):  # Windows removes no open file
                path.unlink(missing_ok=True)
        lock.release()
