"""Pull a shared agent: everything is downloaded out of sight, verified, and then given its name in one step."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from velora.checkpoint.files import reason
from velora.checkpoint.remote import HOME, RemoteFile, Repository, check_name, look
from velora.checkpoint.staging import Stage
from velora.core.errors import CheckpointError, HubError
from velora.models.pretrained import place_checkpoint, told_of
from velora.models.verifying import examine

_BESIDE: Final = re.compile(r"README\.md|proof\.json|checkpoints/model_config\.json|[\w-]{1,64}\.(svg|png)", re.ASCII)
"""Files beside a checkpoint that are pulled too; none of them is ever read by Velora, or run."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """Copy of a repository.

    Attributes:
        directory: where it lies; it can be given to commands like a run.
        checkpoint: the checkpoint in it.
        commit: of the repository.
        agent: key of the agent.
        note: what couldn't be checked here: an agent or cell of somebody's own has to be registered first.
        left: files of the repository that weren't taken.
    """

    directory: Path
    checkpoint: Path
    commit: str
    agent: str
    note: str | None
    left: tuple[str, ...]


def pull(repo: str, out: str | Path | None = None, *, revision: str | None = None) -> Pulled:
    """Download a shared agent with its model card into a new directory.

    Every file is compared with the digest that the Hub names, and the checkpoint read as loading reads it, before the
    directory appears. Whatever goes wrong leaves nothing.

    Args:
        repo: ``user/name``.
        out: the directory to make; by default ``name``, in the current one.
        revision: a branch, a tag or a commit; ``None`` is the newest.

    Raises:
        HubError: if the Hub doesn't answer, has no such repository, revision or checkpoint, or the directory is there.
        CheckpointError: if the checkpoint is damaged.
    """
    target = Path(check_name(repo).rpartition("/")[2] if out is None else out).absolute()
    if os.path.lexists(target):
        raise HubError(f"{target}: is there already; remove it, or choose another directory: out=...")
    repository = look(repo, revision=revision)
    beside = {name: file for name, file in repository.files.items() if _BESIDE.fullmatch(name)}
    taken = {file.name for file in (*repository.checkpoint.values(), *beside.values())}
    with _written(target), Stage(target) as stage, told_of(repository, stage.root):
        verdict = examine(place_checkpoint(repository, stage.root))
        if verdict.problem is not None or verdict.checkpoint is None:
            raise CheckpointError(verdict.problem)
        _arrange(stage, repository, beside)
        stage.publish()
    left = tuple(sorted(set(repository.files) - taken - {".gitattributes"}))
    agent = verdict.checkpoint.metadata.agent
    return Pulled(target, target / HOME, repository.commit, agent, verdict.note, left)


def _arrange(stage: Stage, repository: Repository, beside: dict[str, RemoteFile]) -> None:
    """Put what was downloaded where a run's directory has it."""
    places = repository.download(beside.values(), stage.root)
    home = stage.new / HOME
    home.parent.mkdir()
    os.rename(stage.root / "checkpoint", home)
    for name, path in places.items():
        os.replace(path, stage.new / name)


@contextmanager
def _written(target: Path) -> Iterator[None]:
    """Say in one line why a directory can't be made.

    Raises:
        HubError: if the system refuses.
    """
    try:
        yield
    except (HubError, CheckpointError):
        raise
    except OSError as error:
        raise HubError(f"{target}: can't be written ({reason(error)}); choose another directory: out=...") from error
