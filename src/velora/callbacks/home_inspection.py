"""A look at a directory before a run claims it: whose the files are that lie there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from velora.callbacks import home_files as files
from velora.checkpoint.layout import LOCK_NAME
from velora.checkpoint.schema import CONFIG_FILE
from velora.core.errors import RunDirectoryError


def was_ours(directory: Path) -> bool:
    """Return whether a run has claimed a directory before, and perhaps lives in it."""
    lock = directory / LOCK_NAME
    return lock.is_file() and lock.stat().st_size == 0


def inspect(directory: Path, parents: Sequence[Path], *, run_id: str) -> None:
    """Check that the checkpoints in a directory are those of a run.

    Where there are any, all other files beside them are left alone, whoever made them; where there are none, the
    directory is somebody's, unless it is empty. Overviews that a run left which died before its first checkpoint was
    whole are removed.

    Args:
        directory: that the run claims.
        parents: the directory of each seed's checkpoints; the same one if there is one seed.
        run_id: the run.

    Raises:
        RunDirectoryError: naming the first thing that isn't this run's.
    """
    found = [path for parent in parents for path in files.checkpoints(parent)]
    owners = {path: files.owner(path) for path in found}
    is_ours = run_id in owners.values()
    if list(parents) != [directory] and not is_ours:
        _refuse_foreign(directory, directory, allowed={path.name for path in parents})
    for parent in parents if not is_ours else ():
        own = {path.name for path in found if path.parent == parent}
        _refuse_foreign(parent, directory, allowed={CONFIG_FILE, *own})
    for path, owner in owners.items():
        _check_owner(path, owner, directory, run_id=run_id, is_ours=is_ours)
    overviews = [parent / CONFIG_FILE for parent in parents if (parent / CONFIG_FILE).exists()]
    if overviews and not owners and was_ours(directory):
        for path in overviews:
            path.unlink(missing_ok=True)
    elif overviews and not is_ours:
        raise RunDirectoryError(
            f"{overviews[0].parent}: expected a directory without a run, found {CONFIG_FILE} without its checkpoints; "
            "choose another directory, or delete that file"
        )


def _refuse_foreign(place: Path, directory: Path, *, allowed: Collection[str]) -> None:
    for name in files.names(place):
        if name not in {LOCK_NAME, *allowed} and not files.is_harmless(name):
            raise RunDirectoryError(
                f"{place}: expected an empty directory or this run's checkpoints, found {name!r}; choose a "
                f"directory of its own, such as {str(directory / 'checkpoints')!r}"
            )


def _check_owner(path: Path, owner: str | None, directory: Path, *, run_id: str, is_ours: bool) -> None:
    """Check whose a checkpoint is; one that is broken has no owner, and a save may replace it.

    Raises:
        RunDirectoryError: if it is another run's, or holds someone's files in a directory that isn't this run's.
    """
    if owner is None:
        if files.holds_more(path) and not is_ours:
            raise RunDirectoryError(
                f"{path}: expected a checkpoint or nothing, found somebody's files; choose another directory, or move "
                "them away"
            )
    elif owner != run_id:
        whose = f"of run {owner}" if owner else "that no run wrote"
        raise RunDirectoryError(
            f"{path.parent}: expected an empty directory or this run's checkpoints, found {path.name} {whose}; go on "
            f"with that run by resume={str(directory)!r}, or choose another directory"
        )
