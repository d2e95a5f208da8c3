"""Put a checkpoint of a run at the beginning of a new branch."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from velora.checkpoint import files
from velora.checkpoint.atomic_save import link_or_copy, naming
from velora.checkpoint.directory import Checkpoint
from velora.checkpoint.lineage import MEMBER, Lineage
from velora.checkpoint.schema import FILE_NAMES, METADATA_FILE
from velora.checkpoint.staging import Stage


def begin_branch(checkpoint: Checkpoint, way: Lineage) -> None:
    """Write down that a checkpoint belongs to a new branch, in one step as a save; its tensors stay as they are.

    Raises:
        CheckpointError: if it can't be written. Nothing was changed then.
    """
    target = Path(checkpoint.path).resolve()
    state = {**(checkpoint.metadata.train_state or {}), MEMBER: [list(one) for one in way]}
    text = checkpoint.metadata.replace(train_state=state).encode(METADATA_FILE)
    with naming(target), Stage(target) as stage:
        for file in checkpoint.metadata.files:
            link_or_copy(target / file, stage.new / file)
        for name in set(os.listdir(target)) - FILE_NAMES:
            _copy_foreign(target / name, stage.new / name)
        with stage.create(stage.new / METADATA_FILE) as descriptor:
            files.write_all(descriptor, text)
        stage.publish()


def _copy_foreign(source: Path, destination: Path) -> None:
    """Take along what somebody has put into the checkpoint."""
    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, destination, symlinks=True)
    else:
        shutil.copy2(source, destination, follow_symlinks=False)
