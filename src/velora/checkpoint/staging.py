"""Build a directory out of sight, then give it its name in one step.

A stage is ``.velora-stage-<pid>-<random>/`` beside the target:

    new/            the directory being built; after an exchange, the one that was replaced
    old/<name>/     the replaced directory, only on systems that can't exchange two directories in one step
    model_config.json

The process that builds it holds a lock on it, which the kernel drops when the process dies, so a left-over is told
from a save in progress without trusting process ids or clocks. Without exchange there is an instant when the target
has no name; :func:`recover` puts ``old/<name>`` back.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self, final

from velora.checkpoint import files
from velora.core import disk

_STAGE: Final = re.compile(r"\.velora-stage-[0-9]+-[0-9a-f]{16}")
_ATTEMPTS: Final = 16
_OCCUPIED: Final = frozenset({errno.ENOTEMPTY, errno.EEXIST})
_log: Final = logging.getLogger(__name__)


@final
class Stage:
    """One save in progress; leaving the ``with`` block removes what is still hidden.

    A parent directory that was made for this save alone goes again if the save fails.
    """

    def __init__(self, target: Path) -> None:
        """Plan a stage beside ``target``; nothing is made before ``with``."""
        self.target = target
        self.root = target.parent
        self._lock: int | None = None
        self._made_parents: list[Path] = []
        self._descriptors: list[int] = []
        self._exchanged = False

    @property
    def new(self) -> Path:
        """The directory to fill."""
        return self.root / "new"

    @property
    def _old(self) -> Path:
        return self.root / "old" / self.target.name

    def __enter__(self) -> Self:
        """Make the stage, and the parents of the target where they are missing.

        Raises:
            OSError: as the system reports it; nothing is left.
        """
        try:
            self._make_parents()
            recover(self.target.parent)
            self._make_root()
            os.mkdir(self.new)
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove the stage with what was replaced; after a failure, also the parents made for it."""
        self._close()
        if self.root != self.target.parent:
            _finish(self.root, self.target.parent)
        if self._lock is not None:
            os.close(self._lock)
        if kind is not None:
            for parent in reversed(self._made_parents):
                with suppress(OSError):
                    os.rmdir(parent)

    @contextmanager
    def create(self, path: Path) -> Iterator[int]:
        """Create a file in the new directory and yield its descriptor; :meth:`publish` makes its content durable.

        Raises:
            OSError: as the system reports it.
        """
        descriptor = files.open_new(path)
        self._descriptors.append(descriptor)
        yield descriptor
        files.begin_sync(descriptor)

    def publish(self) -> None:
        """Give the new directory the target's name, durably; if that fails, the target is as it was.

        Raises:
            OSError: as the system reports it.
            UnwritableCheckpointError: if the system neither confirms the new name nor lets it be taken back.
        """
        for descriptor in self._descriptors:
            disk.sync(descriptor)
        disk.sync_directory(self.new)
        for parent in self._made_parents:
            disk.sync_directory(parent.parent)
        self._close()
        self._rename()
        try:
            disk.sync_directory(self.target.parent)
        except OSError as error:
            if not self._withdraw():
                raise files.UnwritableCheckpointError(
                    f"{self.target}: the new checkpoint is in place, but the system doesn't confirm that the disk "
                    f"has it ({files.reason(error)}); check the disk and save again"
                ) from error
            raise

    def _close(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _rename(self) -> None:
        # Another writer may take or free the name at any time; then try again.
        try:
            for _ in range(_ATTEMPTS):
                with suppress(FileNotFoundError):
                    if self._take_free_name() or self._replace():
                        return
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(self.target))
        except OSError:
            _restore(self.root, self.target.parent)
            raise

    def _take_free_name(self) -> bool:
        try:
            os.rename(self.new, self.target)
        except OSError as error:
            if error.errno in _OCCUPIED or (os.name == "nt" and self.target.is_dir()):
                return False
            raise
        return True

    def _replace(self) -> bool:
        self._exchanged = files.exchange(self.new, self.target)
        if not self._exchanged:
            os.makedirs(self._old.parent, exist_ok=True)
            disk.sync_directory(self.root)  # the way to where the old one goes has to be there after a power cut
            disk.sync_directory(self.target.parent)
            os.rename(self.target, self._old)
        return self._exchanged

    def _withdraw(self) -> bool:
        try:
            if self._exchanged:
                return files.exchange(self.new, self.target)
            os.rename(self.target, self.new)
        except OSError:
            return False
        return _restore(self.root, self.target.parent)

    def _make_parents(self) -> None:
        parents = (self.target.parent, *self.target.parent.parents)
        for directory in reversed([one for one in parents if not one.exists()]):
            with suppress(FileExistsError):
                os.mkdir(directory)
                self._made_parents.append(directory)

    def _make_root(self) -> None:
        for _ in range(_ATTEMPTS):
            root = self.target.parent / f".velora-stage-{os.getpid()}-{secrets.token_hex(8)}"
            os.mkdir(root)
            self.root = root
            # Between the two calls another save may take the new stage for a left-over; then make another one.
            with suppress(BlockingIOError, FileNotFoundError):
                self._lock = files.lock_directory(root)
                if self._lock is None or root.exists():
                    return
                os.close(self._lock)
                self._lock = None
            with suppress(OSError):
                os.rmdir(root)
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(self.target.parent))


def recover(parent: Path, *, remove: bool = True) -> None:
    """Finish what writers that died in ``parent`` left: put back what they had moved away, remove their stages.

    Never touches the stage of a live writer, and never fails: what can't be removed stays for the next save.

    Args:
        parent: the directory that holds the checkpoints.
        remove: False only puts back, as a reader should.
    """
    try:
        stages = [name for name in os.listdir(parent) if _STAGE.fullmatch(name)]
    except OSError:
        return
    for name in stages:
        try:
            lock = files.lock_directory(parent / name)
        except OSError:
            continue
        if remove and lock is not None:
            _finish(parent / name, parent)
        else:  # a reader, or a system without such locks, where nothing proves the writer dead
            _restore(parent / name, parent)
        if lock is not None:
            os.close(lock)


def _finish(stage: Path, parent: Path) -> None:
    """Remove a stage, but never the only copy of what it had replaced."""
    if not _restore(stage, parent):
        return
    try:
        shutil.rmtree(stage)
    except OSError as error:
        _log.warning("%s: left over, can't be removed (%s); the next save tries again", stage, files.reason(error))


def _restore(stage: Path, parent: Path) -> bool:
    """Put a replaced directory back where its name is free; False if one is still without its name."""
    try:
        names = os.listdir(stage / "old")
    except FileNotFoundError:
        return True
    except OSError:
        return False
    for name in names:
        if os.path.lexists(parent / name):
            continue
        try:
            os.rename(stage / "old" / name, parent / name)
        except OSError as error:
            _log.warning("%s: can't be put back from %s (%s)", parent / name, stage, files.reason(error))
            return False
        _log.warning("%s: put back after an interrupted save", parent / name)
    return True
