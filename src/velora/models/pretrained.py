"""A checkpoint of a Hub, on the disk for as long as it is read."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from velora.checkpoint.remote import Repository, look
from velora.core.errors import CheckpointError

_log = logging.getLogger(__name__)


@contextmanager
def downloaded(repo: str, revision: str | None = None) -> Iterator[Path]:
    """Download the checkpoint of a repository into a directory that is removed at the end.

    Args:
        repo: ``user/name``.
        revision: a branch, a tag or a commit; ``None`` is the newest.

    Raises:
        HubError: if it can't be had.
        CheckpointError: what reading it raises, told of the repository.
    """
    repository = look(repo, revision=revision)
    with tempfile.TemporaryDirectory(prefix="velora-") as directory, told_of(repository, Path(directory)):
        yield place_checkpoint(repository, Path(directory))
        _log.info("%s: loaded", repository)


def place_checkpoint(repository: Repository, directory: Path) -> Path:
    """Download a repository's checkpoint and nothing else into ``directory/checkpoint``; return that.

    Raises:
        HubError: if it can't be had.
    """
    files, place = repository.checkpoint, directory / "checkpoint"
    arrived = repository.download(files.values(), directory)
    place.mkdir()
    for name, file in files.items():
        os.replace(arrived[file.name], place / name)
    return place


@contextmanager
def told_of(repository: Repository, directory: Path) -> Iterator[None]:
    """Name the repository in an error, instead of a directory that is going to be removed.

    Raises:
        CheckpointError: likewise.
    """
    try:
        yield
    except CheckpointError as error:
        text = str(error).replace(str(directory / "checkpoint"), str(repository))
        raise CheckpointError(text) from error
