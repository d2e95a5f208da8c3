"""The bytes of a tensor file, and what a reader accepts."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import pytest
import safetensors.torch
import torch

from velora.checkpoint import header, tensors
from velora.checkpoint.open_header import Expected
from velora.checkpoint.schema import FileInfo
from velora.core.errors import CheckpointError


def test_the_layout_byte_by_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    info = tensors.write(path, {"b": torch.tensor([1, 2], dtype=torch.uint8), "a": torch.tensor(1.0)})
    table = b'{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}}'
    table = table.ljust(math.ceil(len(table) / 8) * 8)
    raw = len(table).to_bytes(8, "little") + table + b"\x00\x00\x80\x3f" + b"\x01\x02"
    assert path.read_bytes() == raw
    assert info == FileInfo(size_bytes=len(raw), sha256=hashlib.sha256(raw).hexdigest())


def test_the_layout_is_the_librarys(tmp_path: Path) -> None:
    """Every dtype at once, with the names in the other order than the library's."""
    state = {f"{len(header._CODES) - i}": torch.ones(i + 1).to(dtype) for i, dtype in enumerate(header._CODES)}
    tensors.write(tmp_path / "a", state)
    assert (tmp_path / "a").read_bytes() == safetensors.torch.save(state)


def test_tensors_of_one_width_in_the_order_of_their_names_are_read_too(tmp_path: Path) -> None:
    """As files were laid out before the library's order."""
    rows = {
        "a": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]},
        "b": {"dtype": "I64", "shape": [1], "data_offsets": [8, 16]},
    }
    table = json.dumps(rows).encode()
    numbers = torch.tensor([2.5], dtype=torch.float64).numpy().tobytes() + (7).to_bytes(8, "little")
    raw = len(table).to_bytes(8, "little") + table + numbers
    (tmp_path / "a").write_bytes(raw)
    loaded = tensors.read(tmp_path / "a", FileInfo(size_bytes=len(raw), sha256=hashlib.sha256(raw).hexdigest()))
    assert loaded["a"].tolist() == [2.5]
    assert loaded["b"].tolist() == [7]


@pytest.mark.parametrize("dtype", header._CODES)
def test_every_dtype_comes_back(tmp_path: Path, dtype: torch.dtype) -> None:
    values = torch.tensor([[0, 1, 1], [1, 0, 1]]).to(dtype)
    info = tensors.write(tmp_path / "a", {"x": values})
    loaded = tensors.read(tmp_path / "a", info)["x"]
    assert loaded.dtype == dtype
    assert torch.equal(loaded, values)
    assert torch.equal(safetensors.torch.load_file(tmp_path / "a")["x"], values)


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0, 2), (1, 1, 1), (2, 3, 4), (1, 1000, 7)])
def test_every_layout_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]) -> None:
    monkeypatch.setattr(tensors, "CHUNK_BYTES", 64)
    values = torch.randn(*shape, 2)
    every = {
        "contiguous": values[..., 0].contiguous(),
        "strided": values[..., 0],
        "transposed": values.transpose(0, -1),
        "expanded": values[..., :1].expand(*shape, 3),
        "parameter": torch.nn.Parameter(values),
    }
    info = tensors.write(tmp_path / "a", every)
    loaded = tensors.read(tmp_path / "a", info)
    assert loaded.keys() == every.keys()
    for name, tensor in every.items():
        assert torch.equal(loaded[name], tensor.detach())
        assert loaded[name].is_contiguous()
        assert not loaded[name].requires_grad
    tensors.verify(tmp_path / "a", info)


def test_signed_zeros_and_denormals_keep_their_bits(tmp_path: Path) -> None:
    bits = torch.tensor([-(2**31), 1, -(2**31) + 1, 0x007FFFFF, 0x7F7FFFFF], dtype=torch.int32)
    info = tensors.write(tmp_path / "a", {"x": bits.view(torch.float32)})
    assert torch.equal(tensors.read(tmp_path / "a", info)["x"].view(torch.int32), bits)


def test_an_existing_file_is_never_written_to(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"mine")
    (tmp_path / "link").symlink_to("target")
    for name in ("target", "link"):
        with pytest.raises(FileExistsError):
            tensors.write(tmp_path / name, {"x": torch.zeros(1)})
    assert (tmp_path / "target").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("expect", "complaint"),
    [
        ({}, "found a tensor 'x' that this agent doesn't have"),
        ({"x": ((2, 3), torch.float32), "y": ((1,), torch.float32)}, "expected a tensor 'y', which is missing"),
        ({"x": ((3, 2), torch.float32)}, r"x: expected float32 \[3, 2\], found float32 \[2, 3\]"),
        ({"x": ((2, 3), torch.float64)}, r"x: expected float64 \[2, 3\], found float32 \[2, 3\]"),
        ({"x": ((2, 3, 1), torch.float32)}, r"expected float32 \[2, 3, 1\]"),
    ],
)
def test_what_is_found_is_what_was_expected(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    expect: Expected,
    complaint: str,
) -> None:
    info = tensors.write(tmp_path / "a", {"x": torch.zeros(2, 3)})
    assert tensors.read(tmp_path / "a", info, expect={"x": ((2, 3), torch.float32)})["x"].shape == (2, 3)
    monkeypatch.setattr(torch, "empty", lambda *shape, **options: pytest.fail("memory was taken first"))
    with pytest.raises(CheckpointError, match=complaint):
        tensors.read(tmp_path / "a", info, expect=expect)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_nonfinite_values_on_request_only(tmp_path: Path, value: float, dtype: torch.dtype) -> None:
    values = {"x": torch.tensor([1.0, value], dtype=dtype)}
    with pytest.raises(CheckpointError, match="refused: x: expected finite values, found NaN or infinity; nothing was"):
        tensors.write(tmp_path / "refused", values)
    info = tensors.write(tmp_path / "a", values, allow_nonfinite=True)
    for read in (tensors.read, tensors.verify):
        with pytest.raises(CheckpointError, match="x: expected finite values"):
            read(tmp_path / "a", info)
        read(tmp_path / "a", info, allow_nonfinite=True)


def test_a_header_at_its_limits() -> None:
    entries = [
        header.Entry(f"{'x' * 24}{i:05}", torch.float32, (), 4 * i, 4 * i + 4) for i in range(header.MAX_TENSORS)
    ]
    raw = header.encode(entries, "a")
    assert header.decode(raw[8:], 4 * header.MAX_TENSORS, "a") == entries
    long = [header.Entry(f"{'x' * 200}{i:05}", torch.float32, (), 0, 4) for i in range(header.MAX_TENSORS)]
    with pytest.raises(CheckpointError, match="expected a header of at most 1048576 bytes"):
        header.encode(long, "a")


@pytest.mark.parametrize(
    ("offsets", "size", "complaint"),
    [
        ([[0, 4], [4, 8]], 8, None),
        ([[4, 8], [0, 4]], 8, None),
        ([[0, 4], [0, 4]], 4, "expected data from byte 4, found 0"),
        ([[0, 4], [5, 9]], 9, "expected data from byte 4, found 5"),
        ([[0, 4], [3, 7]], 7, "expected data from byte 4, found 3"),
        ([[1, 5], [5, 9]], 9, "expected data from byte 0, found 1"),
        ([[0, 4], [4, 8]], 9, "describes 8 bytes of data, the file holds 9"),
        ([[0, 4], [4, 8]], 7, "describes 8 bytes of data, the file holds 7"),
        ([[0, 4], [8, 4]], 8, "don't fit F32"),
    ],
)
def test_the_data_is_covered_exactly(offsets: list[list[int]], size: int, complaint: str | None) -> None:
    rows = {f"t{i}": {"dtype": "F32", "shape": [1], "data_offsets": pair} for i, pair in enumerate(offsets)}
    raw = json.dumps(rows).encode()
    if complaint is None:
        assert [entry.begin for entry in header.decode(raw, size, "a")] == [0, 4]
    else:
        with pytest.raises(CheckpointError, match=complaint):
            header.decode(raw, size, "a")
