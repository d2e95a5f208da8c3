"""The header of a safetensors file: which tensor lies where. Written as the library does, read with suspicion.

The safetensors library writes whole tensors by path and accepts more than a checkpoint may hold, so that its format is
written and read here (ADR 0010); tests compare every byte with the library's.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from velora.checkpoint import json_text
from velora.core.errors import CheckpointError

MAX_HEADER_BYTES: Final = 1 << 20
MAX_TENSORS: Final = 10_000
MAX_RANK: Final = 8
MAX_BYTES: Final = 1 << 48
LENGTH_BYTES: Final = 8
"""The file starts with the header's length, little-endian."""

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./:\[\]-]{0,255}")
_DTYPES: Final[dict[str, torch.dtype]] = {
    "I64": torch.int64,
    "F64": torch.float64,
    "F32": torch.float32,
    "I32": torch.int32,
    "BF16": torch.bfloat16,
    "F16": torch.float16,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""The dtypes by their code, in the order in which the library lays tensors out."""
_CODES: Final = {dtype: code for code, dtype in _DTYPES.items()}
_ORDER: Final = {dtype: position for position, dtype in enumerate(_CODES)}
_MEMBERS: Final = {"dtype", "shape", "data_offsets"}


@dataclass(frozen=True, slots=True)
class Entry:
    """Place one tensor: its bytes are ``data[begin:end]``, counted from the end of the header."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    begin: int
    end: int

    def __str__(self) -> str:
        """Show dtype and shape, as an error wants them."""
        return f"{str(self.dtype).removeprefix('torch.')} {list(self.shape)}"


def plan(tensors: Mapping[str, Tensor], where: str) -> list[Entry]:
    """Lay the tensors out one after another as the library does: by dtype, then by name.

    The widest dtype comes first, so that each tensor lies at a multiple of its width.

    Raises:
        CheckpointError: if a name, a dtype or a layout can't be stored, or there are too many tensors.
    """
    if len(tensors) > MAX_TENSORS:
        raise CheckpointError(f"{where}: expected at most {MAX_TENSORS} tensors, received {len(tensors)}")
    for name, tensor in tensors.items():
        _check_storable(name, tensor, where)
    entries, begin = [], 0
    for name in sorted(tensors, key=lambda name: (_ORDER[tensors[name].dtype], name)):
        tensor = tensors[name]
        end = begin + tensor.numel() * tensor.element_size()
        entries.append(Entry(name, tensor.dtype, tuple(tensor.shape), begin, end))
        begin = end
    return entries


def encode(entries: Iterable[Entry], where: str) -> bytes:
    """Write length and header, padded with spaces so that the data starts at a multiple of eight.

    Raises:
        CheckpointError: if the header is longer than a reader would accept.
    """
    table = {
        entry.name: {"dtype": _CODES[entry.dtype], "shape": entry.shape, "data_offsets": (entry.begin, entry.end)}
        for entry in entries
    }
    text = json.dumps(table, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER_BYTES:
        raise CheckpointError(f"{where}: expected a header of at most {MAX_HEADER_BYTES} bytes, received {len(text)}")
    return len(text).to_bytes(LENGTH_BYTES, "little") + text


def decode(raw: bytes, data_bytes: int, where: str) -> list[Entry]:
    """Read a header (without its length) and return the entries in the order of their data.

    Args:
        raw: the header's bytes.
        data_bytes: how many bytes follow it in the file.
        where: the file, for the error.

    Raises:
        CheckpointError: if it isn't a table of known dtypes and possible shapes that covers the data exactly:
            no hole, no overlap, nothing left over.
    """
    table = json_text.parse(raw, f"{where} (header)")
    if len(table) > MAX_TENSORS:
        raise CheckpointError(f"{where}: expected at most {MAX_TENSORS} tensors, found {len(table)}")
    entries = sorted((_entry(name, row, where) for name, row in table.items()), key=lambda e: (e.begin, e.end))
    position = 0
    for entry in entries:
        if entry.begin != position:
            raise CheckpointError(f"{where}: {entry.name}: expected data from byte {position}, found {entry.begin}")
        position = entry.end
    if position != data_bytes:
        raise CheckpointError(f"{where}: the header describes {position} bytes of data, the file holds {data_bytes}")
    return entries


def storable(tensor: Tensor) -> bool:
    """Return whether a tensor is dense, of a type that a file can hold, and of few enough dimensions."""
    is_dense = tensor.layout is torch.strided and not tensor.is_meta
    return is_dense and tensor.dtype in _CODES and tensor.dim() <= MAX_RANK


def _check_storable(name: object, tensor: object, where: str) -> None:
    if not isinstance(name, str) or name == "__metadata__" or _NAME.fullmatch(name) is None:
        raise CheckpointError(
            f"{where}: expected a tensor name of letters, digits and _ . / : [ ] -, received {ascii(name)[:80]}"
        )
    if not isinstance(tensor, Tensor):
        raise CheckpointError(f"{where}: {name}: expected a tensor, received {type(tensor).__name__}")
    if not storable(tensor):
        raise CheckpointError(
            f"{where}: {name}: expected a dense tensor of at most {MAX_RANK} dimensions and one of "
            f"{', '.join(str(dtype).removeprefix('torch.') for dtype in _CODES)}; received {tensor.dtype}, "
            f"{tensor.layout}, {tensor.dim()} dimensions on {tensor.device}"
        )


def _entry(name: str, row: object, where: str) -> Entry:
    if name == "__metadata__" or _NAME.fullmatch(name) is None:
        raise CheckpointError(f"{where}: {ascii(name)[:80]} isn't a tensor name that Velora writes")
    place = f"{where}: {name}"
    if not isinstance(row, dict) or set(row) != _MEMBERS:
        raise CheckpointError(f"{place}: expected dtype, shape and data_offsets, found {ascii(row)[:80]}")
    code = row["dtype"]
    if not isinstance(code, str) or code not in _DTYPES:
        raise CheckpointError(f"{place}: expected a dtype out of {', '.join(_DTYPES)}, found {ascii(code)[:80]}")
    shape = _whole_numbers(row["shape"], f"{place}: shape")
    offsets = _whole_numbers(row["data_offsets"], f"{place}: data_offsets")
    if len(shape) > MAX_RANK or math.prod(size for size in shape if size) > MAX_BYTES:
        raise CheckpointError(f"{place}: the shape {ascii(shape)[:80]} is too large")
    dtype = _DTYPES[code]
    if len(offsets) != 2 or offsets[1] - offsets[0] != math.prod(shape) * dtype.itemsize:
        raise CheckpointError(f"{place}: data_offsets {ascii(offsets)[:80]} don't fit {code} {ascii(shape)[:80]}")
    return Entry(name, dtype, shape, offsets[0], offsets[1])


def _whole_numbers(value: object, where: str) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(item) is int and 0 <= item <= MAX_BYTES for item in value):
        raise CheckpointError(f"{where}: expected whole numbers from 0, found {ascii(value)[:80]}")
    return tuple(value)
