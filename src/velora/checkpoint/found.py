"""Find directories that are checkpoints, or were meant to be."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

from velora.checkpoint import files
from velora.checkpoint.schema import FILE_NAMES
from velora.core.errors import CheckpointError

_log: Final = logging.getLogger(__name__)


def children(parent: Path) -> list[Path]:
    """List the directories in another one that are, or were meant to be, checkpoints."""
    try:
        names = sorted(name for name in os.listdir(parent) if not name.startswith("."))
    except OSError:
        return []
    return [parent / name for name in names if _is_meant_as_checkpoint(parent / name)]


def _is_meant_as_checkpoint(path: Path) -> bool:
    if not path.is_dir():
        return False
    try:
        return not FILE_NAMES.isdisjoint(files.list_names(path))
    except CheckpointError as error:
        _log.warning("skipped: %s", error)
        return False
