"""Nothing in the package allocates by PyTorch's defaults, which belong to whoever uses it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import velora

SOURCES = sorted(Path(velora.__file__).parent.rglob("*.py"))
BY_DTYPE_AND_DEVICE = {
    "arange", "as_tensor", "asarray", "empty", "empty_strided", "eye", "full", "linspace", "logspace", "ones", "rand",
    "randint", "randn", "randperm", "scalar_tensor", "tensor", "tril_indices", "triu_indices", "zeros",
}  # fmt: skip
BY_DEVICE = {"Generator"}
NEVER = {"Tensor", "FloatTensor", "get_default_dtype", "get_default_device", "set_default_dtype", "set_default_device"}


def faults(source: str) -> list[str]:
    """List the calls of PyTorch in a source that leave a type or a device to its defaults, as ``line: call``."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "torch":
            named = {alias.name for alias in node.names} & (BY_DTYPE_AND_DEVICE | BY_DEVICE | NEVER - {"Tensor"})
            found += [f"{node.lineno}: from torch import {name}" for name in sorted(named)]
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        called = ast.unparse(node.func)
        name = called.removeprefix("torch.")
        if called == name:
            continue
        given = {keyword.arg for keyword in node.keywords}
        is_whole = given >= {"dtype", "device"} if name in BY_DTYPE_AND_DEVICE else True
        if name in BY_DEVICE:
            is_whole = bool(node.args) or "device" in given
        if name in NEVER or not is_whole:
            found.append(f"{node.lineno}: {called}")
    return found


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("torch.empty(3)", ["1: torch.empty"]),
        ("x = f(torch.zeros(3, dtype=torch.float32))", ["1: torch.zeros"]),
        ("torch.tensor(1.0, device=d)", ["1: torch.tensor"]),
        ("torch.full((2,), 1.0, **like)", ["1: torch.full"]),
        ("torch.Generator()", ["1: torch.Generator"]),
        ("torch.get_default_dtype()", ["1: torch.get_default_dtype"]),
        ("torch.Tensor(3)", ["1: torch.Tensor"]),
        ("from torch import Tensor, zeros", ["1: from torch import zeros"]),
        ("torch.empty(3, dtype=torch.float32, device=d)", []),
        ("torch.Generator('cpu'), torch.zeros_like(x), x.new_zeros(3), np.empty(3)", []),
    ],
)
def test_a_fault_is_found(source: str, expected: list[str]) -> None:
    assert faults(source) == expected


def test_every_allocation_names_its_type_and_its_device() -> None:
    assert len(SOURCES) > 100
    found = {str(path): listed for path in SOURCES if (listed := faults(path.read_text(encoding="utf-8")))}
    assert found == {}, "name dtype and device, or take them from a tensor (new_zeros, zeros_like)"
