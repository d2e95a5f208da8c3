"""Push a folder to a repository on a Hub, in one commit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from velora.checkpoint.remote import HOME, Repository, check_name, connect, look, reported, without_bars
from velora.checkpoint.schema import METADATA_FILE
from velora.core.errors import HubError


@dataclass(frozen=True, slots=True)
class Pushed:
    """Folder that was pushed.

    Attributes:
        repo: ``user/name``.
        commit: that it became; the newest one, if the repository held all of it already.
        address: of the repository, for a browser.
    """

    repo: str
    commit: str
    address: str


def push(folder: str | Path, repo: str, *, private: bool = False, message: str = "Upload with Velora") -> Pushed:
    """Push a folder that :func:`velora.hub.write_folder` wrote; the repository is made where there is none.

    It is one commit, so a repository has the old agent or the new one. Files there that would belong to another
    checkpoint go with that commit; all others stay.

    Args:
        folder: what to push.
        repo: ``user/name``.
        private: whether a new repository is shown to its owner only.
        message: of the commit.

    Raises:
        HubError: if there is no token, or the Hub doesn't answer or refuses.
    """
    folder = Path(folder)
    check_name(repo)
    if not (folder / HOME / METADATA_FILE).is_file():
        raise HubError(f"{folder}: expected a folder with {HOME}{METADATA_FILE}; velora.hub.write_folder writes one")
    api = check_token(repo)
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    with reported(repo, api):
        address = str(api.create_repo(repo, private=private, exist_ok=True))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    added = [CommitOperationAdd(path.relative_to(folder).as_posix(), path) for path in files]
    stale = _stale(look(repo), {one.path_in_repo for one in added})
    operations = [*added, *(CommitOperationDelete(name) for name in stale)]
    with reported(repo, api), without_bars():
        done = api.create_commit(repo, operations, commit_message=message)
    return Pushed(repo, str(done.oid), address)


def check_token(repo: str) -> Any:
    """Return a client of the Hub that has a token.

    Raises:
        HubError: if there is none, or ``huggingface_hub`` isn't installed.
    """
    api = connect()
    from huggingface_hub import get_token

    if get_token() is None:
        raise HubError(f"{repo}: pushing needs a token that may write; log in (hf auth login) or set HF_TOKEN")
    return api


def _stale(repository: Repository, added: set[str]) -> list[str]:
    """Name the files of a checkpoint that is replaced, which the new one doesn't have."""
    inside = HOME.partition("/")[0] + "/"
    return sorted(name for name in repository.files if name.startswith(inside) and name not in added)
