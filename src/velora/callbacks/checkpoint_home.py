"""A directory of checkpoints that belongs to one run: claimed at its start, held against others, kept tidy."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from velora.callbacks import home_files as files
from velora.callbacks.home_inspection import inspect, was_ours
from velora.checkpoint import Checkpoint
from velora.checkpoint.branching import begin_branch
from velora.checkpoint.layout import LOCK_NAME, seed_directory
from velora.checkpoint.lineage import branched, parted
from velora.checkpoint.schema import CONFIG_FILE
from velora.core import disk
from velora.core.errors import CheckpointError, RunDirectoryError
from velora.core.locks import PATIENCE_S
from velora.core.protocols import Progress

logger = logging.getLogger(__name__)

_PRUNED = f"{files.OWN_PREFIX}pruned-"


class CheckpointHome:
    """Directory of a run's checkpoints, locked for as long as the run lives.

    A lock of the operating system keeps a second live process out; it dies with its process, so a crash leaves
    nothing to clean up. With several seeds every seed has a directory of its own inside. All of these are made at once,
    so that one that is empty belongs to a seed that had not come to its first checkpoint, and one that is missing was
    taken away.
    """

    def __init__(self, directory: Path, *, run_id: str, seeds: Sequence[int]) -> None:
        """Claim the directory, making it where it is missing.

        Args:
            directory: where the checkpoints go.
            run_id: the run that claims it.
            seeds: the run seeds, in the order of the seed axis.

        Raises:
            RunDirectoryError: if it can't be written, another process works in it, or it holds another run's
                checkpoints, or anything that isn't a checkpoint and isn't beside this run's. Nothing is changed then.
        """
        self.directory = directory.absolute()
        self._run_id = run_id
        own = [seed_directory(self.directory, seed) for seed in seeds]
        self._parents = own if len(seeds) > 1 else [self.directory]
        self._lock = FileLock(self.directory / LOCK_NAME)
        try:
            if not was_ours(self.directory):  # nothing is made in what may be someone else's directory
                inspect(self.directory, self._parents, run_id=run_id)
            disk.make_directory(self.directory)
            self._lock.acquire(timeout=PATIENCE_S, poll_interval=0.01)
        except Timeout:
            raise RunDirectoryError(
                f"{self.directory}: another process is saving its checkpoints here; wait until it ends, stop it, or "
                "choose another directory"
            ) from None
        except OSError as error:
            raise self._unwritable(error) from error
        except NotImplementedError:
            logger.warning("%s: can't be locked here; take care that no other run uses it", self.directory)
        try:
            inspect(self.directory, self._parents, run_id=run_id)
            with suppress(PermissionError):  # one may make names in a directory that one may not read
                disk.sync_directory(self.directory)  # so that no power cut takes the lock, and leaves an overview
            for parent in self._parents:
                disk.make_directory(parent)
                self._sweep(parent)
            tempfile.TemporaryFile(prefix=files.OWN_PREFIX, dir=self.directory).close()
        except OSError as error:
            self.release()
            raise self._unwritable(error) from error
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let other processes in. Calling it twice is harmless."""
        self._lock.release()

    def parent(self, seed_index: int) -> Path:
        """Return the directory that the checkpoints of one seed are written to."""
        return self._parents[seed_index]

    def go_on(self, seed: Progress) -> None:
        """Begin a branch of the run if it goes on from an older checkpoint than others that lie here.

        That one is marked as the beginning of the branch, so that a later resume goes on with it, however soon it ends.

        Args:
            seed: where the run stands; its lineage is brought up to date.

        Raises:
            RunDirectoryError: if the newest checkpoint was read here, but another process has gone on meanwhile.
            CheckpointError: if a branch can't be begun here.
        """
        parent, way, here = self.parent(seed.seed_index), seed.lineage, seed.lived.step
        found = [own for path in files.checkpoints(parent) if (own := self._own(path))]
        place = way[-1][0], here
        if all(one.metadata.place <= place for one in found):
            return
        is_read = seed.newest_of is not None and parent.samefile(seed.newest_of)
        newest = Checkpoint.latest(parent) if is_read else None  # it passes over damaged ones
        if newest is not None and newest.metadata.place > place:
            raise RunDirectoryError(
                f"{parent}: {newest.path.name} is newer than the checkpoint that was read; another process may have "
                "gone on with this run meanwhile, so resume again, or name the older checkpoint to begin a branch there"
            )
        left = max(found, key=lambda one: one.metadata.place).metadata.lineage
        until = parted(way, left)
        seed.lineage, seed.parted_at = branched(way, here, newest=left[-1][0]), here if until is None else until
        start = [one for one in found if (one.metadata.lineage, one.metadata.progress.step) == (way, here)]
        for one in start[:1]:
            begin_branch(one, seed.lineage)

    def needs_config(self, seed_index: int) -> bool:
        """Return whether the one-time overview of the agent is still to be written."""
        return not (self.parent(seed_index) / CONFIG_FILE).exists()

    def make_way(self, seed_index: int, name: str) -> None:
        """Set aside what stands where a checkpoint is about to be written, if it holds anything else.

        People put notes into a checkpoint, or a link in its place. A save replaces whole directories, so that these
        would be lost, or the save would be refused.
        """
        files.set_aside(self.parent(seed_index) / name)

    def prune(self, seed_index: int, kind: str, *, keep: int, newest: int) -> None:
        """Remove this run's oldest ``epN`` or ``stepN``, after the newest was written.

        Only valid checkpoints of this run are touched, and none of later episodes or steps (a resume from an older
        checkpoint finds those), nor any that holds more than a checkpoint; those of a branch that was left go first.
        What can't be removed is tried again later.

        Args:
            seed_index: the position on the seed axis.
            kind: ``"ep"`` or ``"step"``.
            keep: how many stay, >= 1.
            newest: the number of the checkpoint that was just written.
        """
        parent = self.parent(seed_index)
        numbered = {
            int(match["number"]): path
            for path in parent.iterdir()
            if (match := files.CHECKPOINT.fullmatch(path.name)) and match["kind"] == kind
        }
        whole = {number: found for number, path in numbered.items() if number <= newest and (found := self._own(path))}
        old = sorted(whole, key=lambda number: (whole[number].metadata.place[0], number))[:-keep]
        for path in [numbered[number] for number in old if not files.holds_more(numbered[number])]:
            self._try_to(os.rename, path, parent / f"{_PRUNED}{path.name}")  # gone in one step, not file by file
        self._sweep(parent)

    def keep_only(self, seed_index: int, kind: str, numbers: Collection[int]) -> None:
        """Remove this run's numbered checkpoints of a kind but these; see :meth:`prune` for what is left alone."""
        parent = self.parent(seed_index)
        for path in parent.iterdir():
            match = files.CHECKPOINT.fullmatch(path.name)
            is_old = match and match["kind"] == kind and int(match["number"]) not in numbers
            if is_old and not files.holds_more(path) and self._own(path) is not None:
                self._try_to(os.rename, path, parent / f"{_PRUNED}{path.name}")
        self._sweep(parent)

    def _sweep(self, parent: Path) -> None:
        """Remove what has lost its name already; a run that was killed may have left some."""
        for path in parent.glob(f"{_PRUNED}*"):
            self._try_to(shutil.rmtree, path)

    def _own(self, path: Path) -> Checkpoint | None:
        """Open a checkpoint of this run; ``None`` if it is broken or another run's."""
        try:
            found = Checkpoint.open(path)
        except CheckpointError:
            return None
        return found if (found.metadata.train_state or {}).get("run_id") == self._run_id else None

    def _unwritable(self, error: OSError) -> RunDirectoryError:
        reason = error.strerror or type(error).__name__
        return RunDirectoryError(
            f"{self.directory}: expected a directory that can be written, got {reason!r}; check its permissions or "
            "choose another directory"
        )

    @staticmethod
    def _try_to(action: Callable[..., object], path: Path, *args: object) -> None:
        try:
            action(path, *args)
        except OSError as error:
            logger.warning("%s: can't be removed (%s)", path, error)
