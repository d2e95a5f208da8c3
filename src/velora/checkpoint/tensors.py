"""Stream tensors to and from a safetensors file, hashing every byte on the way.

The bytes are those that the safetensors library writes. What it lacks is here (ADR 0010): one pass that checks, hashes
and writes any tensor a few megabytes at a time; a SHA-256 that is checked before a tensor is handed over; bounds on the
header; a descriptor that follows no link.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from io import FileIO
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from velora.checkpoint import files, header
from velora.checkpoint.header import Entry
from velora.checkpoint.open_header import Expected, check_size, compare, read_header, too_short
from velora.checkpoint.schema import FileInfo
from velora.core.errors import CheckpointError

CHUNK_BYTES: Final = 4 << 20


def write(
    path: Path,
    tensors: Mapping[str, Tensor],
    *,
    allow_nonfinite: bool = False,
    create: Callable[[Path], AbstractContextManager[int]] = files.create,
) -> FileInfo:
    """Write a new file that would be accepted when read, a few megabytes at a time.

    A tensor on another device, or one that isn't contiguous, is copied chunk by chunk, never as a whole.

    Args:
        path: the file.
        tensors: what to store, by name.
        allow_nonfinite: accept NaN and infinities.
        create: makes the file and yields its descriptor; the standard waits until the device has the content.

    Raises:
        CheckpointError: if a name or dtype can't be stored, the header would be too long, or (unless
            ``allow_nonfinite``) a value is NaN or infinite; the file may be there then, in part.
        OSError: as the system reports it.
    """
    entries = header.plan(tensors, path.name)
    digest = hashlib.sha256()
    size = 0
    with create(path) as descriptor:
        for data in _chunks(tensors, entries, path.name, allow_nonfinite):
            files.write_all(descriptor, data)
            digest.update(data)
            size += len(data)
    return FileInfo(size_bytes=size, sha256=digest.hexdigest())


def read(
    path: Path, info: FileInfo, *, expect: Expected | None = None, allow_nonfinite: bool = False
) -> dict[str, Tensor]:
    """Read a file into fresh CPU tensors, which are returned only if every byte is the one that was written.

    Args:
        path: the file.
        info: its length and digest, from the metadata.
        expect: the exact names, shapes and dtypes; compared with the header before any memory is taken.
        allow_nonfinite: accept NaN and infinities.

    Raises:
        MissingCheckpointError: if there is no such file.
        CheckpointError: if it is damaged, malformed, not what was expected, or too large for the memory.
    """
    tensors: dict[str, Tensor] = {}

    def allocate(batch: list[Entry]) -> Iterator[Tensor]:
        first, size = batch[0], batch[-1].end - batch[0].begin
        try:
            memory = torch.empty(size // first.dtype.itemsize, dtype=first.dtype, device="cpu")
        except RuntimeError as error:
            raise CheckpointError(f"{path}: {first.name}: no memory for {size} bytes") from error
        parts = memory.split_with_sizes([(entry.end - entry.begin) // entry.dtype.itemsize for entry in batch])
        tensors.update((entry.name, part.view(entry.shape)) for entry, part in zip(batch, parts, strict=True))
        return iter(torch.split(memory, CHUNK_BYTES // first.dtype.itemsize))

    _scan(path, info, allocate, expect=expect, allow_nonfinite=allow_nonfinite)
    return {name: tensors[name] for name in sorted(tensors)}


def verify(path: Path, info: FileInfo, *, expect: Expected | None = None, allow_nonfinite: bool = False) -> None:
    """Check a file as :func:`read` does, in a few megabytes of memory.

    Raises:
        MissingCheckpointError: if there is no such file.
        CheckpointError: if it is damaged, malformed or not what was expected.
    """
    scratch = torch.empty(CHUNK_BYTES, dtype=torch.uint8, device="cpu")

    def reuse(batch: list[Entry]) -> Iterator[Tensor]:
        remaining = batch[-1].end - batch[0].begin
        while remaining:
            size = min(remaining, CHUNK_BYTES)
            yield scratch[:size].view(batch[0].dtype)
            remaining -= size

    _scan(path, info, reuse, expect=expect, allow_nonfinite=allow_nonfinite)


def _scan(
    path: Path,
    info: FileInfo,
    destination: Callable[[list[Entry]], Iterator[Tensor]],
    *,
    expect: Expected | None,
    allow_nonfinite: bool,
) -> None:
    with files.open_regular(path) as stream:
        size = check_size(stream, info, path)
        if (memory := files.memory_bytes()) is not None and size > memory:
            raise CheckpointError(
                f"{path}: its {size} bytes don't fit into the {memory} bytes of this machine's memory"
            )
        digest = hashlib.sha256()
        entries = read_header(stream, size, digest.update, path)
        if expect is not None:
            compare(entries, expect, path)
        complaint = None
        for batch in _batches(entries):
            for part in destination(batch):
                digest.update(_fill(stream, part, path))
                complaint = complaint or _complain(batch, part, allow_nonfinite)
        if stream.read(1) or digest.hexdigest() != info.sha256:
            raise CheckpointError(
                f"{path}: damaged (its SHA-256 isn't the one in metadata.json); load another checkpoint"
            )
        if complaint is not None:
            raise CheckpointError(f"{path}: {complaint}; load another checkpoint")


def _complain(batch: list[Entry], part: Tensor, allow_nonfinite: bool) -> str | None:
    """Find something wrong in a part of a tensor that stands alone, or in a whole batch of small ones."""
    if part.dtype is torch.bool:
        wanted, is_right = "booleans (0 or 1), found other bytes", part.view(torch.uint8) <= 1
    elif part.is_floating_point() and not allow_nonfinite:
        wanted, is_right = "finite values, found NaN or infinity", torch.isfinite(part)
    else:
        return None
    if is_right.all():
        return None
    at = batch[0].begin + int((~is_right).nonzero()[0]) * part.element_size()
    name = batch[0].name if len(batch) == 1 else next(entry.name for entry in batch if at < entry.end)
    return f"{name}: expected {wanted}"


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Group neighbours of one dtype that fit into a chunk together, so that hundreds of small tensors cost as few."""
    batch: list[Entry] = []
    for entry in entries:
        if batch and (entry.dtype is not batch[0].dtype or entry.end - batch[0].begin > CHUNK_BYTES):
            yield batch
            batch = []
        batch.append(entry)
    if batch:
        yield batch


def _chunks(
    tensors: Mapping[str, Tensor], entries: list[Entry], where: str, allow_nonfinite: bool
) -> Iterator[bytes | memoryview]:
    yield header.encode(entries, where)
    for batch in _batches(entries):
        for piece in _flat_pieces(tensors, batch):
            part = piece.cpu().contiguous().view(-1)
            if complaint := _complain(batch, part, allow_nonfinite):
                raise files.NonFiniteCheckpointError(f"{where}: {complaint}; nothing was saved")
            yield _memory(part)


def _flat_pieces(tensors: Mapping[str, Tensor], batch: list[Entry]) -> Iterator[Tensor]:
    """Give the numbers of a batch, in the order of the file, in pieces of at most ``CHUNK_BYTES``."""
    if len(batch) == 1:
        yield from _pieces(tensors[batch[0].name].detach())
    else:
        yield torch.cat([tensors[entry.name].detach().reshape(-1) for entry in batch])


def _pieces(tensor: Tensor) -> Iterator[Tensor]:
    """Cut a tensor, in the order of its elements, into pieces of at most ``CHUNK_BYTES``."""
    if tensor.is_contiguous():
        yield from torch.split(tensor.view(-1), CHUNK_BYTES // tensor.element_size())
        return
    row_bytes = tensor[0].numel() * tensor.element_size()
    if row_bytes > CHUNK_BYTES:
        for row in tensor:
            yield from _pieces(row)
    else:
        yield from torch.split(tensor, CHUNK_BYTES // row_bytes)


def _memory(tensor: Tensor) -> memoryview:
    # A contiguous tensor of one element may carry any stride, with which it can't be seen as bytes.
    return tensor.as_strided((tensor.numel(),), (1,)).view(torch.uint8).numpy().data


def _fill(stream: FileIO, part: Tensor, path: Path) -> memoryview:
    view = _memory(part)
    filled = 0
    while filled < len(view):
        count = stream.readinto(view[filled:])
        if not count:
            raise too_short(path)
        filled += count
    return view
