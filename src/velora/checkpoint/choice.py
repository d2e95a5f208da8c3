"""The choice of a checkpoint to evaluate: the one at a path, or one of the run at that path."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from velora.checkpoint import Checkpoint
from velora.checkpoint.files import MissingCheckpointError, reason
from velora.checkpoint.layout import CHECKPOINTS, find_home, seed_directories
from velora.checkpoint.lineage import holds
from velora.checkpoint.schema import FILE_NAMES
from velora.core import zoo
from velora.core.errors import CheckpointError

log = logging.getLogger(__name__)

_SHOWN = 10


def choose_checkpoints(path: Path) -> list[Path]:
    """Choose a checkpoint for each seed of a run of several seeds, or one of any other path, or of ``zoo:<name>``.

    Raises:
        CheckpointError: as :func:`choose_checkpoint`; seeds without a valid checkpoint are left out, with a warning.
    """
    path = zoo.resolve(path)
    with _readable(path):
        seeds = {} if _is_checkpoint(path) else seed_directories(find_home(path))
    if not seeds:
        return [choose_checkpoint(path)]
    chosen = []
    for directory in seeds.values():
        try:
            chosen.append(choose_checkpoint(directory))
        except CheckpointError as error:
            log.warning("skipped: %s", error)
    if not chosen:
        raise CheckpointError(f"{path}: expected a run with a valid checkpoint, found none of any of its seeds")
    return chosen


def choose_checkpoint(path: Path) -> Path:
    """Return ``path`` if it is a checkpoint, or else the run's ``final``, its ``best``, or its newest valid one.

    A run that went on beyond its ``final`` isn't represented by that, nor by what a branch of it has left behind.

    Raises:
        MissingCheckpointError: if there is nothing at ``path``; the message names what is beside it.
        CheckpointError: if the directory has no valid checkpoint; the message names what it has.
    """
    path = zoo.resolve(path)
    with _readable(path):
        return _choose(path)


def _choose(path: Path) -> Path:
    if not path.is_dir():
        return _open_missing(path)
    if _is_checkpoint(path):
        return path
    home = find_home(path)
    newest = Checkpoint.latest(home)
    if newest is None:
        if any(one.is_dir() for below in ("*", "*/*") for one in path.glob(f"{below}/{CHECKPOINTS}")):
            raise CheckpointError(
                f"{path}: no run, but runs below it; give one of those: velora runs {path} lists them"
            )
        raise CheckpointError(f"{path}: expected a checkpoint, or a run with a valid one, found {_names(home)}")
    final, best = (_open_valid(home / name) for name in ("final", "best"))
    if final is not None and final.metadata.place == newest.metadata.place:
        return home / "final"
    if best is not None and holds(newest.metadata.lineage, best.metadata.place):
        return home / "best"
    return home / newest.path.name


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say in one line that a path can't be looked at: its name is too long, or a directory on the way is closed.

    Raises:
        CheckpointError: in place of another ``OSError``.
    """
    try:
        yield
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path}: can't be read ({reason(error)}); expected a checkpoint or a run") from error


def _open_valid(path: Path) -> Checkpoint | None:
    """Open a checkpoint and check every byte of it; ``None`` if it isn't there or is damaged."""
    try:
        found = Checkpoint.open(path)
        found.verify()
    except MissingCheckpointError:
        return None
    except CheckpointError as error:
        log.warning("skipped: %s", error)
        return None
    return found


def _open_missing(path: Path) -> Path:
    """Return the path if a checkpoint can be recovered there, which an interrupted save has left behind."""
    try:
        Checkpoint.open(path)
    except MissingCheckpointError as error:
        if not path.parent.is_dir():
            raise
        home = find_home(path.parent)
        raise MissingCheckpointError(f"{path}: no checkpoint here; in {home} there is {_names(home)}") from error
    return path


def _is_checkpoint(path: Path) -> bool:
    """Return whether a directory is a checkpoint, be it valid or damaged."""
    return any((path / name).exists() for name in FILE_NAMES)


def _names(directory: Path) -> str:
    """List the names in a directory, the first ten of them."""
    names = sorted(path.name for path in directory.iterdir() if not path.name.startswith("."))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more if names else "nothing"
