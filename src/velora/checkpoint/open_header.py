"""Open a tensor file as far as its header: its length, and which tensors it holds, before memory is taken for them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from io import FileIO
from pathlib import Path
from typing import TypeAlias

import torch

from velora.checkpoint import files, header
from velora.checkpoint.header import Entry
from velora.checkpoint.schema import FileInfo
from velora.core.errors import CheckpointError

Expected: TypeAlias = Mapping[str, tuple[tuple[int, ...], torch.dtype]]
"""Name to (shape, dtype) of every tensor that a file must hold."""


def count_numbers(path: Path, info: FileInfo) -> int:
    """Count the numbers in all tensors from the header alone; the bytes after it are only counted.

    Raises:
        MissingCheckpointError: if there is no such file.
        CheckpointError: if its length or its header is wrong.
    """
    with files.open_regular(path) as stream:
        entries = read_header(stream, check_size(stream, info, path), lambda raw: None, path)
    return sum(math.prod(entry.shape) for entry in entries)


def check_size(stream: FileIO, info: FileInfo, path: Path) -> int:
    """Return the length of a file in bytes.

    Raises:
        CheckpointError: if the metadata says another.
    """
    size = os.fstat(stream.fileno()).st_size
    if size != info.size_bytes:
        raise CheckpointError(f"{path}: damaged ({size} bytes, metadata.json says {info.size_bytes}); load another")
    return size


def read_header(stream: FileIO, size: int, update: Callable[[bytes], None], path: Path) -> list[Entry]:
    """Read which tensors lie where; ``update`` is given the bytes that were read.

    Raises:
        CheckpointError: if the header is too long, malformed, or doesn't fit the length of the file.
    """
    prefix = _take(stream, header.LENGTH_BYTES, path)
    length = int.from_bytes(prefix, "little")
    if length > min(header.MAX_HEADER_BYTES, size - header.LENGTH_BYTES):
        raise CheckpointError(f"{path}: expected a header of at most {header.MAX_HEADER_BYTES} bytes, found {length}")
    raw = _take(stream, length, path)
    update(prefix + raw)
    return header.decode(raw, size - header.LENGTH_BYTES - length, str(path))


def compare(entries: list[Entry], expect: Expected, path: Path) -> None:
    """Compare names, shapes and dtypes with those that are expected.

    Raises:
        CheckpointError: naming the first tensor that is missing, unknown or another.
    """
    found = {entry.name: entry for entry in entries}
    if missing := sorted(expect.keys() - found.keys()):
        raise CheckpointError(f"{path}: expected a tensor {missing[0]!r}, which is missing ({len(missing)} are)")
    if unknown := sorted(found.keys() - expect.keys()):
        raise CheckpointError(
            f"{path}: found a tensor {unknown[0]!r} that this agent doesn't have ({len(unknown)} such)"
        )
    for name, (shape, dtype) in expect.items():
        if (found[name].shape, found[name].dtype) != (tuple(shape), dtype):
            wanted = f"{str(dtype).removeprefix('torch.')} {list(shape)}"
            raise CheckpointError(f"{path}: {name}: expected {wanted}, found {found[name]}")


def _take(stream: FileIO, size: int, path: Path) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise too_short(path)
    return data


def too_short(path: Path) -> CheckpointError:
    """Make the error of a file that ends too early."""
    return CheckpointError(f"{path}: damaged (it ends too early); load another checkpoint")
