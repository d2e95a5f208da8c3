"""Move what was exported to its place: all of it or nothing, and never over what somebody else wrote."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from velora.checkpoint.schema import METADATA_FILE, TENSOR_FILES
from velora.core.errors import ExportError
from velora.export.manifest import FILE, Manifest, digest_of

MARK: Final = "velora.policy"
"""Text in every single file that is exported, by which a file of ours is known."""
_MOST_BYTES: Final = 1 << 28
_MOST_SHOWN: Final = 200


@contextmanager
def refusals(out: Path) -> Iterator[None]:
    """Say in one line what the system refuses.

    Raises:
        ExportError: in place of an ``OSError``.
    """
    try:
        yield
    except OSError as error:
        shown = str(out) if len(str(out)) <= _MOST_SHOWN else f"{str(out)[:_MOST_SHOWN]}..."
        raise ExportError(
            f"{shown}: can't be written ({error.strerror or error}); nothing was changed; choose another out="
        ) from error


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """Yield a path beside ``out`` at which nothing is, to write to; what is left there goes at the end."""
    made = _missing_parents(out)
    stage: str | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        stage = tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent)
        yield Path(stage) / out.name
        made = []
    finally:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)
        for parent in reversed(made):
            with suppress(OSError):
                parent.rmdir()


def check_free(out: Path, *, is_directory: bool, overwrite: bool) -> None:
    """Check early what is at ``out``; the names within a directory are checked by :func:`move_in`.

    Raises:
        ExportError: if something else is there.
    """
    directory = out if is_directory else out.parent
    if all((directory / name).is_file() for name in (METADATA_FILE, TENSOR_FILES["model_state"])):
        raise ExportError(f"{directory}: a checkpoint, which holds nothing else; choose another out=")
    if is_directory and out.exists() and not out.is_dir():
        raise ExportError(f"{out}: a file, expected a directory or nothing; choose another out=")
    if not is_directory and out.is_dir():
        raise ExportError(f"{out}: a directory, expected a file or nothing; choose another out=")
    if not is_directory and not overwrite and os.path.lexists(out) and not _is_ours(out):
        raise ExportError(f"{out}: not written by velora export; choose another out= or add overwrite=true")


def move_in(new: Path, out: Path, *, overwrite: bool) -> None:
    """Give the files of a new directory their places in ``out``; other files that are there stay.

    Files that an earlier export wrote are replaced, and go if they have no successor, unless they were changed since.

    Raises:
        ExportError: if another file is in the way, and ``overwrite`` is False.
        OSError: as the system reports it.
    """
    if not out.exists():
        os.rename(new, out)
        return
    names = sorted(path.relative_to(new).as_posix() for path in new.rglob("*") if path.is_file())
    ours = _untouched(out)
    in_the_way = [name for name in names if os.path.lexists(out / name) and name not in ours]
    if in_the_way and not overwrite:
        raise ExportError(
            f"{out / in_the_way[0]}: not as velora export wrote it; choose another out= or add overwrite=true"
        )
    for name in [*(name for name in names if name != FILE), FILE]:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(new / name, out / name)
    for name in ours - set(names):
        with suppress(OSError):
            (out / name).unlink()


def _untouched(directory: Path) -> set[str]:
    """Return the names of files that are as an export wrote them, the manifest among them."""
    try:
        manifest = Manifest.read(directory)
    except ExportError:
        return set()
    return {FILE, *(name for name, digest in manifest.files.items() if digest_of(directory / name) == digest)}


def _is_ours(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size < _MOST_BYTES and MARK.encode() in path.read_bytes()
    except OSError:
        return False


def _missing_parents(out: Path) -> list[Path]:
    return [one for one in reversed(out.absolute().parents) if not one.exists()]
