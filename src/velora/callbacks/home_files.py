"""Files in a directory of checkpoints: those of a run, and whatever systems and people put beside them."""

from __future__ import annotations

import itertools
import logging
import os
import re
from pathlib import Path

from velora.checkpoint import Checkpoint, atomic_save
from velora.core.errors import CheckpointError

logger = logging.getLogger(__name__)

OWN_PREFIX = ".velora-"
"""Hidden files of ours begin with it."""
CHECKPOINT = re.compile(r"(?P<kind>ep|step|top)(?P<number>[1-9][0-9]*)|best|recent|final|interrupted|crashed")
"""Names of a run's checkpoints."""
_HARMLESS = frozenset({".ipynb_checkpoints"})


def is_harmless(name: str) -> bool:
    """Return whether a file is nobody's by its name: ours, or what file browsers and notebooks leave behind."""
    return name in _HARMLESS or name.startswith(OWN_PREFIX) or atomic_save.is_litter(name)


def names(directory: Path) -> list[str]:
    """List what is in a directory; one that doesn't exist is empty."""
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def checkpoints(directory: Path) -> list[Path]:
    """List the directories that carry a checkpoint's name; a link is somebody's."""
    return [
        path
        for path in map(directory.joinpath, names(directory))
        if CHECKPOINT.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    ]


def owner(path: Path) -> str | None:
    """Return the id of the run that wrote a checkpoint, "" if none did, None if it is broken or empty."""
    try:
        metadata = Checkpoint.open(path).metadata
    except CheckpointError:
        return None
    return str((metadata.train_state or {}).get("run_id", ""))


def holds_more(path: Path) -> bool:
    """Return whether there is anything but a checkpoint, whole or broken, or an empty directory."""
    if path.is_symlink():
        return True
    try:
        atomic_save.check_target(path, overwrite=True)
    except CheckpointError:
        return True
    return False


def set_aside(path: Path) -> None:
    """Rename what stands where a checkpoint is about to be written, if it holds anything else."""
    if not holds_more(path):
        return
    free = (path.with_name(f"{path.name}-kept{n}") for n in itertools.count(1))
    aside = next(place for place in free if not os.path.lexists(place))
    try:
        os.rename(path, aside)
    except OSError as error:
        logger.warning("%s: can't be set aside (%s)", path, error)
    else:
        logger.warning("%s: holds more than a checkpoint; it is %s from now on", path, aside.name)
