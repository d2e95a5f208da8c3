"""A directory of checkpoints that belongs to one run: claimed at its start, held against others, kept tidy."""

from __future__ import annotations

import itertools
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from velora.checkpoint import Checkpoint, atomic_save
from velora.checkpoint.atomic_save import is_litter
from velora.checkpoint.layout import seed_directory
from velora.checkpoint.schema import CONFIG_FILE
from velora.core.errors import CheckpointError, RunDirectoryError

logger = logging.getLogger(__name__)

LOCK_NAME = ".lock"
_OWN_PREFIX = ".velora-"
_PRUNED = f"{_OWN_PREFIX}pruned-"
_HARMLESS = frozenset({".ipynb_checkpoints"})
"""What notebooks leave behind wherever they are; it is left alone."""
_CHECKPOINT = re.compile(r"ep(?P<episode>[1-9][0-9]*)|final|interrupted|best")


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
            self._inspect()  # before anything is made in what may be someone else's directory
            self.directory.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
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
            self._inspect()
            for parent in self._parents:
                parent.mkdir(exist_ok=True)
            tempfile.TemporaryFile(prefix=_OWN_PREFIX, dir=self.directory).close()
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

    def needs_config(self, seed_index: int) -> bool:
        """Return whether the one-time overview of the agent is still to be written."""
        return not (self.parent(seed_index) / CONFIG_FILE).exists()

    def make_way(self, seed_index: int, name: str) -> None:
        """Set aside what stands where a checkpoint is about to be written, if it holds anything else.

        People put notes into a checkpoint, or a link in its place. A save replaces whole directories, so that these
        would be lost, or the save would be refused.
        """
        parent = self.parent(seed_index)
        path = parent / name
        if not _holds_more(path):
            return
        aside = next(p for n in itertools.count(1) if not os.path.lexists(p := parent / f"{name}-kept{n}"))
        logger.warning("%s: holds more than a checkpoint; it is %s from now on", path, aside.name)
        self._try_to(os.rename, path, aside)

    def prune(self, seed_index: int, *, keep: int, newest: int) -> None:
        """Remove this run's oldest ``epN``, after the newest was written.

        Only valid checkpoints of this run are touched, and none of later episodes (a resume from an older
        checkpoint finds those), nor any that holds more than a checkpoint. What can't be removed is logged and tried
        again next time.

        Args:
            seed_index: the position on the seed axis.
            keep: how many stay, >= 1.
            newest: the episode of the checkpoint that was just written.
        """
        parent = self.parent(seed_index)
        numbered = {
            int(match["episode"]): path
            for path in parent.iterdir()
            if (match := _CHECKPOINT.fullmatch(path.name)) and match["episode"]
        }
        old = sorted(number for number in numbered if number <= newest)[:-keep]
        for path in [numbered[number] for number in old if self._owner(numbered[number]) == self._run_id]:
            if _holds_more(path):
                continue
            self._try_to(os.rename, path, parent / f"{_PRUNED}{path.name}")  # gone in one step, not file by file
        for path in parent.glob(f"{_PRUNED}*"):
            self._try_to(shutil.rmtree, path)

    def _inspect(self) -> None:
        """Check that the checkpoints in the directory are this run's.

        Where there are any, all other files beside them are left alone, whoever made them; where there are none, the
        directory is somebody's, unless it is empty.

        Raises:
            RunDirectoryError: naming the first thing that isn't this run's.
        """
        found = [path for parent in self._parents for path in _checkpoints(parent)]
        owners = {path: self._owner(path) for path in found}
        is_ours = self._run_id in owners.values()
        if self._parents != [self.directory] and not is_ours:
            self._refuse_foreign(self.directory, allowed={path.name for path in self._parents})
        for parent in self._parents if not is_ours else ():
            own = {path.name for path in found if path.parent == parent}
            self._refuse_foreign(parent, allowed={CONFIG_FILE, *own})
        for path, owner in owners.items():
            self._check_owner(path, owner, is_ours=is_ours)
        orphan = next((parent for parent in self._parents if (parent / CONFIG_FILE).exists()), None)
        if orphan is not None and not is_ours:
            raise RunDirectoryError(
                f"{orphan}: expected a directory without a run, found {CONFIG_FILE} without its checkpoints; "
                "choose another directory, or delete that file"
            )

    def _refuse_foreign(self, directory: Path, *, allowed: set[str]) -> None:
        for name in _names(directory):
            if name not in {LOCK_NAME, *_HARMLESS, *allowed} and not (name.startswith(_OWN_PREFIX) or is_litter(name)):
                raise RunDirectoryError(
                    f"{directory}: expected an empty directory or this run's checkpoints, found {name!r}; choose a "
                    f"directory of its own, such as {str(self.directory / 'checkpoints')!r}"
                )

    def _check_owner(self, path: Path, owner: str | None, *, is_ours: bool) -> None:
        """Check whose a checkpoint is; one that is broken has no owner, and a save may replace it.

        Raises:
            RunDirectoryError: if it is another run's, or holds someone's files in a directory that isn't this run's.
        """
        if owner is None:
            if _holds_more(path) and not is_ours:
                raise RunDirectoryError(
                    f"{path}: expected a checkpoint or nothing, found somebody's files; choose another directory, or "
                    "move them away"
                )
        elif owner != self._run_id:
            whose = f"of run {owner}" if owner else "that no run wrote"
            raise RunDirectoryError(
                f"{path.parent}: expected an empty directory or this run's checkpoints, found {path.name} {whose}; "
                f"go on with that run by resume={str(self.directory)!r}, or choose another directory"
            )

    @staticmethod
    def _owner(path: Path) -> str | None:
        """Return the id of the run that wrote a checkpoint, "" if none did, None if it is broken or empty."""
        try:
            metadata = Checkpoint.open(path).metadata
        except CheckpointError:
            return None
        return str((metadata.train_state or {}).get("run_id", ""))

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


def _holds_more(path: Path) -> bool:
    """Return whether there is anything but a checkpoint, whole or broken, or an empty directory."""
    if path.is_symlink():
        return True
    try:
        atomic_save.check_target(path, overwrite=True)
    except CheckpointError:
        return True
    return False


def _names(directory: Path) -> list[str]:
    """List what is in a directory; one that doesn't exist is empty."""
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def _checkpoints(directory: Path) -> list[Path]:
    """List the directories that carry a checkpoint's name; a link is somebody's."""
    return [
        path
        for path in map(directory.joinpath, _names(directory))
        if _CHECKPOINT.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    ]
