"""Whose a run's directory is while a command works in it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from velora.checkpoint.layout import CHECKPOINTS, LOCK_NAME, seed_directories
from velora.cli.run.run_directory import CONFIG, METRICS, unwritable
from velora.core import disk
from velora.core.errors import RunDirectoryError
from velora.core.locks import PATIENCE_S

log = logging.getLogger(__name__)


class BusyError(RunDirectoryError):
    """Error in the directory of a run that another process trains."""


@contextlib.contextmanager
def claimed(run_dir: Path) -> Iterator[None]:
    """Keep other processes out of a run's directory, from before anything in it is read until all is written.

    The operating system drops the lock of a process that dies.

    Raises:
        BusyError: if another process trains in it.
        RunDirectoryError: if it can't be written. Nothing was changed then.
    """
    lock = FileLock(run_dir.absolute() / LOCK_NAME, is_singleton=True)  # which the trainer holds too
    try:
        disk.make_directory(run_dir)
        lock.acquire(timeout=PATIENCE_S, poll_interval=0.01)
    except Timeout:
        raise BusyError(
            f"{run_dir}: another process trains in this run's directory; wait until it ends, or stop it"
        ) from None
    except OSError as error:
        raise unwritable(run_dir, error) from error
    except NotImplementedError:
        log.warning("%s: can't be locked here; take care that no other process trains in it", run_dir)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows removes no open file
            (run_dir / LOCK_NAME).unlink(missing_ok=True)
        lock.release()


def discard_unstarted(run_dir: Path) -> None:
    """Remove the files of a run that was refused before its settings were written.

    A directory with settings holds a run, and is left alone; so is one whose checkpoints a live process writes.
    """
    checkpoints = run_dir / CHECKPOINTS
    with contextlib.ExitStack() as stack:
        if checkpoints.is_dir():
            try:
                stack.enter_context(FileLock(checkpoints / LOCK_NAME).acquire(timeout=0))
            except Timeout:
                return
            except NotImplementedError:
                pass
        if (run_dir / CONFIG).exists():
            return
        files = run_dir / METRICS, run_dir / f"{METRICS}-wal", run_dir / f"{METRICS}-shm", checkpoints / LOCK_NAME
        for path in files:
            path.unlink(missing_ok=True)
    for directory in (*seed_directories(checkpoints).values(), checkpoints):
        with contextlib.suppress(OSError):
            directory.rmdir()
