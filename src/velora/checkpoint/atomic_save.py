"""The writing protocol: check everything, build the whole checkpoint out of sight, then make it appear in one step."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias

from torch import Tensor

from velora.checkpoint import files, json_text, tensors
from velora.checkpoint.schema import (
    CONFIG_FILE,
    FILE_NAMES,
    METADATA_FILE,
    OPTIONAL_PARTS,
    TENSOR_FILES,
    FileInfo,
    Metadata,
    Part,
    TensorFile,
)
from velora.checkpoint.staging import Stage
from velora.core.errors import CheckpointError

Parts: TypeAlias = Mapping[Part, Mapping[str, Tensor]]

MAY_BE_NONFINITE: Final[frozenset[Part]] = frozenset({"buffer_state", "train_state"})
"""Unused rows of a buffer and records such as "best so far" may hold anything; weights and optimizers may not."""

_LITTER: Final = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", ".directory"})
_OURS: Final = frozenset({"schema_version", "metadata_sha256"})
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK})
_log: Final = logging.getLogger(__name__)


def is_litter(name: str) -> bool:
    """Return whether a file of this name is what file browsers leave behind: nobody's data."""
    return name in _LITTER or name.startswith("._")


def check_parts(parts: Parts) -> None:
    """Check that these are the parts of a checkpoint.

    Raises:
        CheckpointError: if one is unknown or missing.
    """
    if unknown := sorted(set(parts) - set(TENSOR_FILES)):
        raise CheckpointError(f"tensors: expected parts out of {', '.join(TENSOR_FILES)}; received {unknown[0]!r}")
    for part in TENSOR_FILES:
        if part not in parts and part not in OPTIONAL_PARTS:
            raise CheckpointError(f"tensors: expected {part!r} (it may be empty), received {sorted(parts)}")


def check_target(target: Path, *, overwrite: bool) -> None:
    """Check that saving to ``target`` destroys nothing but a checkpoint, whole or broken.

    Raises:
        CheckpointError: if it holds anything else, isn't a directory, or is taken and ``overwrite`` is False.
    """
    with naming(target):
        try:
            names = {name for name in os.listdir(target) if not is_litter(name)}
        except FileNotFoundError:
            return
        except NotADirectoryError as error:
            raise CheckpointError(f"{target}: a file, expected a directory or nothing; choose another name") from error
        if foreign := sorted(name for name in names if _is_foreign(target / name, names)):
            raise CheckpointError(
                f"{target}: expected a checkpoint or an empty directory, found {foreign[0]!a} in it; "
                "choose another directory or move that away"
            )
    if names and not overwrite:
        raise CheckpointError(f"{target}: already holds a checkpoint; choose another directory or pass overwrite=True")


def check_config(path: Path, text: bytes) -> bool:
    """Return whether the one-time overview is already there.

    Raises:
        CheckpointError: if the file there says something else.
    """
    try:
        found = files.read_small(path, json_text.MAX_BYTES)
    except files.MissingCheckpointError:
        return False
    if found != text:
        raise CheckpointError(
            f"{path}: describes another agent than the one being saved{_difference(path, found, text)}; "
            "save under another parent directory, or delete that file if it is out of date"
        )
    return True


def save(
    target: Path, metadata: Metadata, parts: Parts, *, config: bytes | None, overwrite: bool, keep_buffer: bool
) -> Metadata:
    """Write a checkpoint, and return its metadata with the files in it.

    Raises:
        CheckpointError: if something can't be stored, the target must not be replaced, or the system refuses
            something. The target is then as it was.
    """
    check_target(target, overwrite=overwrite)
    if config is not None:
        check_config(target.parent / CONFIG_FILE, config)
    with naming(target), Stage(target) as stage:
        infos: dict[TensorFile, FileInfo] = {}
        for part, members in parts.items():
            file = TENSOR_FILES[part]
            with naming(target / file):
                infos[file] = tensors.write(
                    stage.new / file, members, allow_nonfinite=part in MAY_BE_NONFINITE, create=stage.create
                )
        complete = metadata.replace(files=infos)
        if keep_buffer:
            complete = _keep(target, stage.new, complete)
        text = complete.encode(METADATA_FILE)
        with naming(target / METADATA_FILE), stage.create(stage.new / METADATA_FILE) as descriptor:
            files.write_all(descriptor, text)
        check_target(target, overwrite=overwrite)
        with _config_beside(stage, config):
            stage.publish()
    return complete


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn what the system refuses into one line that names the file.

    Raises:
        UnwritableCheckpointError: in place of an ``OSError``.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, CheckpointError):
            raise
        raise files.UnwritableCheckpointError(
            f"{path}: can't be written ({files.reason(error)}); nothing was changed; check the free space and the "
            "permissions, or save elsewhere"
        ) from error


def _difference(path: Path, found: bytes, text: bytes) -> str:
    try:
        there, here = json_text.parse(found, str(path)), json_text.parse(text, str(path))
    except CheckpointError:
        return ""
    keys = [key for key in {**here, **there} if here.get(key) != there.get(key)]
    return f" ({keys[0]!a}: {there.get(keys[0])!a:.60} there, {here.get(keys[0])!a:.60} here)" if keys else ""


def _is_foreign(path: Path, names: set[str]) -> bool:
    if path.name not in FILE_NAMES:
        return True
    if path.is_dir() and not path.is_symlink():
        return bool(os.listdir(path))
    if path.name != METADATA_FILE or not names.isdisjoint(TENSOR_FILES.values()):
        return False
    # A lone metadata.json is a name that others use too: it is ours if it looks it, or if nothing can be read in it.
    try:
        document = json_text.parse(files.read_small(path, json_text.MAX_BYTES), str(path))
    except CheckpointError:
        return False
    return _OURS.isdisjoint(document)


def _keep(target: Path, new: Path, metadata: Metadata) -> Metadata:
    """Keep the buffer and the train state of the checkpoint being replaced, if they belong to this same state."""
    if not any(os.path.lexists(target / TENSOR_FILES[part]) for part in OPTIONAL_PARTS):
        return metadata
    try:
        path = target / METADATA_FILE
        previous = Metadata.decode(files.read_small(path, json_text.MAX_BYTES), str(path))
    except CheckpointError:
        return metadata
    for part in _kept_parts(previous, metadata):
        file = TENSOR_FILES[part]
        with naming(target / file):
            link_or_copy(target / file, new / file)
        try:
            tensors.verify(new / file, previous.files[file], allow_nonfinite=part in MAY_BE_NONFINITE)
        except CheckpointError as error:
            _log.warning("not kept: %s", error)
            os.unlink(new / file)
            continue
        metadata = metadata.replace(files={**metadata.files, file: previous.files[file]}, **_member(previous, part))
    return metadata


def _kept_parts(previous: Metadata, metadata: Metadata) -> list[Part]:
    state: tuple[TensorFile, ...] = (TENSOR_FILES["model_state"], TENSOR_FILES["optim_state"])
    same = (previous.agent, previous.settings) == (metadata.agent, metadata.settings)
    if not same or any(previous.files[file] != metadata.files[file] for file in state):
        return []
    candidates: list[Part] = ["buffer_state"]
    if (previous.progress, previous.seed) == (metadata.progress, metadata.seed):
        candidates.append("train_state")
    return [part for part in candidates if TENSOR_FILES[part] in previous.files and not metadata.has(part)]


def _member(metadata: Metadata, part: Part) -> dict[str, object]:
    return {"buffer": metadata.buffer} if part == "buffer_state" else {"train_state": metadata.train_state}


def link_or_copy(source: Path, destination: Path) -> None:
    try:
        os.link(source, destination)
    except OSError:
        with closing(files.read_pieces(source)) as pieces, files.create(destination) as descriptor:
            for piece in pieces:
                files.write_all(descriptor, piece)


@contextmanager
def _config_beside(stage: Stage, text: bytes | None) -> Iterator[None]:
    """Write the overview into the parent, once; take it away again if the body fails."""
    path = stage.target.parent / CONFIG_FILE
    made = False
    if text is not None and not check_config(path, text):
        with naming(path):
            made = _place(stage.root / CONFIG_FILE, path, text)
    try:
        yield
    except BaseException:
        if made:
            with suppress(OSError):
                os.unlink(path)
        raise


def _place(staged: Path, path: Path, text: bytes) -> bool:
    with files.create(staged) as descriptor:
        files.write_all(descriptor, text)
    try:
        os.link(staged, path)  # unlike a rename, this never replaces what another writer put there meanwhile
    except FileExistsError:
        return not check_config(path, text)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.rename(staged, path)
    return True
