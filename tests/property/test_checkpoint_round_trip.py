"""Saving and loading is the identity, and whatever bytes are read, the answer is a checkpoint error at worst."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from velora.checkpoint import Checkpoint, Metadata, header, json_text, tensors
from velora.checkpoint.schema import FileInfo
from velora.core.errors import CheckpointError

DTYPES = tuple(header._CODES)
NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_./:\[\]-]{0,20}", fullmatch=True).filter(
    lambda name: name != "__metadata__"
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**127), 2**127)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=20)
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=12), TREES, max_size=5)


@st.composite
def stored_tensors(draw: st.DrawFn) -> Tensor:
    """Draw a tensor of any storable dtype, shape and memory layout."""
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    tensor = (torch.randn(shape, generator=generator) * 10).to(draw(st.sampled_from(DTYPES)))
    if tensor.dim() > 1 and draw(st.booleans()):
        tensor = tensor.permute(*draw(st.permutations(range(tensor.dim()))))
    if tensor.dim() > 0 and draw(st.booleans()):
        tensor = tensor[..., ::2]
    return tensor


@given(st.dictionaries(NAMES, stored_tensors(), max_size=6), st.integers(1, 20).map(lambda n: 8 * n))
@settings(max_examples=80, deadline=None)
def test_tensors_come_back_as_they_were(state: dict[str, Tensor], chunk: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "a.safetensors")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tensors, "CHUNK_BYTES", chunk)  # so that small tensors are cut into pieces as large ones are
            info = tensors.write(path, state)
            loaded = tensors.read(path, info, expect={name: (tuple(t.shape), t.dtype) for name, t in state.items()})
            tensors.verify(path, info)
        for other in (loaded, safetensors.torch.load_file(path)):
            assert other.keys() == state.keys()
            assert all(torch.equal(other[name], state[name]) for name in state)
        by_library = Path(directory, "b.safetensors")
        safetensors.torch.save_file({name: t.clone().contiguous() for name, t in state.items()}, by_library)
        assert by_library.read_bytes() == path.read_bytes()


@given(OBJECTS, OBJECTS)
@settings(max_examples=40, deadline=None)
def test_metadata_comes_back_as_it_was(first: dict[str, Any], second: dict[str, Any]) -> None:
    fields = {"agent": "a", "seed": 0, "settings": first, "optimizers": {}, "train_state": second}
    parts: Any = {"model_state": {}, "optim_state": {}, "train_state": {}}
    with tempfile.TemporaryDirectory() as directory:
        Checkpoint.write(Path(directory, "ep1"), metadata=fields, tensors=parts)
        metadata = Checkpoint.open(Path(directory, "ep1")).metadata
    assert metadata.settings == first
    assert metadata.train_state == second


@given(OBJECTS)
@settings(max_examples=100, deadline=None)
def test_parse_undoes_render(document: dict[str, Any]) -> None:
    assert json_text.parse(json_text.render(document, "m"), "m") == document
    assert json_text.parse(json_text.canonical(document), "m") == document


@given(st.binary(max_size=200) | OBJECTS.map(lambda document: json_text.canonical(document)))
@settings(max_examples=200, deadline=None)
def test_no_bytes_are_metadata_by_chance(raw: bytes) -> None:
    for read in (lambda: Metadata.decode(raw, "m"), lambda: header.decode(raw, 8, "m")):
        with pytest.raises(CheckpointError) as error:
            read()
        assert "\n" not in str(error.value)


HEADER_ROWS = st.dictionaries(
    st.sampled_from(["dtype", "shape", "data_offsets"]),
    st.sampled_from(["F32", "U8", "BOOL"]) | st.lists(st.integers(-1, 9), max_size=3) | TREES,
    max_size=3,
)


@given(st.dictionaries(NAMES, HEADER_ROWS, max_size=3), st.binary(max_size=12))
@settings(max_examples=200, deadline=None)
def test_a_header_is_refused_or_the_library_agrees(table: dict[str, Any], data: bytes) -> None:
    text = json_text.canonical(table)
    raw = len(text).to_bytes(8, "little") + text + data
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "a.safetensors")
        path.write_bytes(raw)
        try:
            found = tensors.read(path, info_of(raw), allow_nonfinite=True)
        except CheckpointError:
            return
        assert {name: tensor.shape for name, tensor in found.items()} == {
            name: tensor.shape for name, tensor in safetensors.torch.load_file(path).items()
        }


def info_of(raw: bytes) -> FileInfo:
    return FileInfo(size_bytes=len(raw), sha256=hashlib.sha256(raw).hexdigest())
