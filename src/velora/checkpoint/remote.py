"""Repositories on a Hub: looked up at one commit, and their files downloaded and compared with the Hub's digests.

``huggingface_hub``, the extra ``hub``, is imported when a Hub is first asked. Where that Hub is, the library decides
(``HF_ENDPOINT``), and who asks (``HF_TOKEN``, or a login).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from velora.checkpoint.files import read_pieces
from velora.checkpoint.schema import FILE_NAMES, METADATA_FILE
from velora.core.errors import HubError, VeloraError
from velora.core.extras import how_to_install
from velora.core.version import __version__

HOME: Final = "checkpoints/final/"
"""Where a repository has its checkpoint, as a run's directory has its last one."""
_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_LETTERS: Final = 160


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """File of a repository.

    Attributes:
        name: its path in the repository.
        size_bytes: its length; 0 where the Hub doesn't say.
        sha256: of its content, for files that the Hub stores apart; empty otherwise.
        blob: its name in git, the SHA-1 of a header and its content; empty where ``sha256`` is known.
    """

    name: str
    size_bytes: int
    sha256: str
    blob: str

    def is_in(self, path: Path) -> bool:
        """Return whether a file on the disk has the digest that the Hub names."""
        whole = hashlib.sha256()
        git = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
        for piece in read_pieces(path):
            whole.update(piece)
            git.update(piece)
        if self.sha256:
            return whole.hexdigest() == self.sha256
        return not self.blob or git.hexdigest() == self.blob


@dataclass(frozen=True, slots=True)
class Repository:
    """Repository on a Hub, at one commit.

    Attributes:
        name: ``user/name``.
        commit: the commit that a revision was resolved to.
        files: what it holds then, by path.
        api: the client that asks the Hub.
    """

    name: str
    commit: str
    files: Mapping[str, RemoteFile]
    api: Any

    @property
    def checkpoint(self) -> dict[str, RemoteFile]:
        """The files of its checkpoint, by their names in that.

        Raises:
            HubError: if it holds none.
        """
        for home in (HOME, ""):
            found = {name: self.files[home + name] for name in sorted(FILE_NAMES) if home + name in self.files}
            if METADATA_FILE in found:
                return found
        raise HubError(f"{self}: holds no checkpoint of Velora: expected {HOME}{METADATA_FILE}; check the name")

    def download(self, files: Iterable[RemoteFile], directory: Path) -> dict[str, Path]:
        """Download files into a directory, and return where each lies, by its path in the repository.

        Raises:
            HubError: if one can't be had, or isn't what the Hub says it is.
        """
        wanted = list(files)
        _check_room(sum(file.size_bytes for file in wanted), directory)
        places = {}
        for file in wanted:
            with reported(self.name, self.api, revision=self.commit), without_bars():
                got = self.api.hf_hub_download(self.name, file.name, revision=self.commit, local_dir=directory)
            places[file.name] = Path(got)
            if not file.is_in(places[file.name]):
                raise HubError(f"{self}: {file.name}: its digest isn't the one that the Hub names; download it again")
        return places

    def __str__(self) -> str:
        return f"{self.name} at {self.commit[:12]}"


def connect() -> Any:
    """Return a client of the Hub.

    Raises:
        HubError: if ``huggingface_hub`` isn't installed.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise HubError(f"hub: huggingface_hub isn't installed: {how_to_install('hub')}") from error
    return HfApi(
        os.environ.get("HF_ENDPOINT", "").rstrip("/") or None, library_name="velora", library_version=__version__
    )


def check_name(repo: str) -> str:
    """Return the name of a repository.

    Raises:
        HubError: if it isn't ``user/name``.
    """
    if not _NAME.fullmatch(repo):
        raise HubError(f"hub: expected a repository as user/name, got {repo[:_LETTERS]!r}")
    return repo


def look(repo: str, *, revision: str | None = None) -> Repository:
    """Look a repository up.

    Args:
        repo: ``user/name``.
        revision: a branch, a tag or a commit; ``None`` is the newest.

    Raises:
        HubError: if the Hub doesn't answer, or has no such repository or revision.
    """
    check_name(repo)
    api = connect()
    with reported(repo, api, revision=revision):
        info = api.model_info(repo, revision=revision, files_metadata=True)
    files = {one.rfilename: _described(one) for one in info.siblings or ()}
    return Repository(repo, str(info.sha), files, api)


def _described(one: Any) -> RemoteFile:
    sha256 = one.lfs.sha256 if one.lfs is not None else ""
    return RemoteFile(one.rfilename, int(one.size or 0), str(sha256), "" if sha256 else str(one.blob_id or ""))


@contextmanager
def reported(repo: str, api: Any, *, revision: str | None = None) -> Iterator[None]:
    """Turn what goes wrong with a Hub into one line.

    Raises:
        HubError: instead of whatever the client raises.
    """
    from huggingface_hub import errors

    hub = f"the Hub at {api.endpoint}"
    try:
        yield
    except VeloraError:
        raise
    except errors.GatedRepoError as error:
        raise HubError(f"{repo}: {hub} gives it to those only whom its owner let in; ask there for access") from error
    except errors.RepositoryNotFoundError as error:
        how = "check the name; a private one needs a login (hf auth login) or HF_TOKEN"
        raise HubError(f"{repo}: {hub} has no such repository, or doesn't show it; {how}") from error
    except errors.RevisionNotFoundError as error:
        raise HubError(f"{repo}: has no revision {revision!r}; give a branch, a tag or a commit of it") from error
    except errors.OfflineModeIsEnabled as error:
        raise HubError(f"{repo}: HF_HUB_OFFLINE is set, so that no Hub is asked; unset it") from error
    except errors.LocalEntryNotFoundError as error:
        raise HubError(f"{repo}: {hub} doesn't answer any more ({_short(error)}); try again later") from error
    except errors.EntryNotFoundError as error:
        raise HubError(f"{repo}: lacks a file that it should hold ({_short(error)}); try again") from error
    except errors.HfHubHTTPError as error:
        raise HubError(f"{repo}: {_refusal(hub, error)}") from error
    except (LookupError, TypeError) as error:
        raise HubError(f"{repo}: {hub} answers in a way of its own; check HF_ENDPOINT") from error
    except (errors.HTTPError, OSError, ValueError, RuntimeError) as error:
        raise HubError(f"{repo}: {hub} can't be reached, or broke off ({_short(error)}); try again later") from error


def _refusal(hub: str, error: Any) -> str:
    status = error.response.status_code
    if status in (401, 403):
        return f"{hub} refuses ({status}); log in (hf auth login) or set HF_TOKEN, with a token that may do this"
    if status >= 500 or status == 429:
        return f"{hub} answers {status}: it is down or busy; try again later"
    return f"{hub} answers {status} ({_short(error)})"


def _short(error: BaseException) -> str:
    """Put the message of an error of others on one line, and not on a long one."""
    whole = f"{error}\n{error.__cause__ or ''}"
    text = "; ".join(dict.fromkeys(filter(None, map(str.strip, whole.splitlines())))) or type(error).__name__
    return text if len(text) <= _LETTERS else f"{text[:_LETTERS]}..."


def _check_room(size_bytes: int, directory: Path) -> None:
    free = shutil.disk_usage(directory).free
    if size_bytes > free:
        raise HubError(f"{directory}: needs {size_bytes:,} bytes, has {free:,} free; make room, or choose another disk")


@contextmanager
def without_bars() -> Iterator[None]:
    """Show no bar for each small file."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    if are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()
