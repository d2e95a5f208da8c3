"""Every call, in every kernel, refuses what doesn't fit its row, in one line; C would read foreign memory instead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.shared import KERNELS
from velora import kernels
from velora.core.errors import ShapeError
from velora.kernels.arrays.updates import UPDATES
from velora.kernels.backend import CALLS, Backend
from velora.kernels.calls import MOST_TOGETHER, Field
from velora.nn.cells import make_cell
from velora.nn.flat import FlatParameters
from velora.nn.networks.critics import QNetwork
from velora.nn.networks.policies import LiquidActor
from velora.nn.run.make import make_network
from velora.nn.run.network import Network
from velora.nn.wiring import auto_ncp

SIZES = {"S": 2, "B": 4, "T": 3, "A": 2, "H": 5, "P": 7, "W": 2}
MIDDLE = (4, 3)
BETWEEN = [name for name in CALLS if name != "gather"]
each_kernel = pytest.mark.parametrize("kernel", KERNELS)
each_call = pytest.mark.parametrize("name", BETWEEN)


def tensor(field: Field) -> Tensor:
    shape = field.sizes(SIZES, MIDDLE)
    return (
        torch.zeros(shape, dtype=torch.int64)
        if field.dtype == "int64"
        else torch.rand(shape, dtype=getattr(torch, field.dtype))
    )


def arguments(name: str) -> dict[str, Any]:
    row = CALLS[name]
    given: dict[str, Any] = {
        key: (tensor(field), tensor(field)) if field.together else tensor(field)
        for key, field in row.fields.items()
        if field.use != "writes"
    }
    return {**given, **dict.fromkeys(row.counts, 1), **dict.fromkeys(row.numbers, 0.5)}


def run(backend: Backend, name: str, given: dict[str, Any]) -> Any:
    return backend.run(name, given, **({"constants": None} if name == "adam" else {}))


def corrupted(name: str) -> Iterator[tuple[str, str, dict[str, Any], str]]:
    """Break each tensor of a call in each way: a further axis, another size, another type, a transposed view."""
    for key, field in CALLS[name].fields.items():
        if field.use == "writes":
            continue
        given = arguments(name)
        whole = given[key][1] if field.together else given[key]
        broken = {
            "a further axis": (whole.unsqueeze(-1), "expected shape"),
            "another type": (whole.float() if whole.dtype == torch.float64 else whole.double(), "of type"),
        }
        if whole.dim() > 1 and whole.shape[1] > 1 and not field.any_strides:
            broken["a transposed view"] = (whole.transpose(0, 1).contiguous().transpose(0, 1), "one after another")
        if sum(f.use != "writes" for f in CALLS[name].fields.values()) > 1 and field.shape != ("5",):
            broken["another size"] = (torch.cat((whole, whole[:1])), "expected shape")
        for how, (wrong, text) in broken.items():
            yield key, how, {**given, key: (given[key][0], wrong) if field.together else wrong}, text


@each_kernel
@each_call
def test_what_fits_is_taken(kernel: str, name: str) -> None:
    made = run(kernels.make_backend(kernel), name, arguments(name))
    assert len(made) == sum(field.use == "writes" for field in CALLS[name].fields.values())


@each_kernel
@each_call
def test_what_does_not_fit_is_one_line(kernel: str, name: str) -> None:
    backend, tried = kernels.make_backend(kernel), 0
    for key, how, given, text in corrupted(name):
        with pytest.raises(ShapeError, match=rf"^{name}: \w+: .*{text}") as caught:
            run(backend, name, given)
        assert "\n" not in str(caught.value), (key, how)
        tried += 1
    assert tried >= 2


@each_kernel
def test_a_recorded_call_is_checked_when_it_is_recorded(kernel: str) -> None:
    backend, q = kernels.make_backend(kernel), torch.zeros(2, 4, 3)
    with backend.program().record(), pytest.raises(ShapeError, match=r"squared_error: target: .* got \(2, 4, 3, 1\)"):
        backend.squared_error(q, q.unsqueeze(3))


@each_kernel
def test_an_ensemble_has_a_limit(kernel: str) -> None:
    q = torch.zeros(2, 4, 3)
    for n in (0, MOST_TOGETHER + 1):
        with pytest.raises(ShapeError, match=f"minimum: values: expected 1 to {MOST_TOGETHER} tensors, got {n}"):
            kernels.make_backend(kernel).minimum(*[q] * n)


def test_arrays_have_a_function_for_every_call() -> None:
    assert set(UPDATES) == set(BETWEEN)


@pytest.mark.skipif(kernels.extension is None, reason="the native kernel isn't built here")
def test_windows_are_gathered_from_rings_of_the_right_type_alone() -> None:
    backend = kernels.make_backend("native")
    given = {
        "rows": np.zeros((2, 9, 4), np.float32), "uniform": np.zeros((2, 3)), "size": np.full(2, 9),
        "position": np.zeros(2, np.int64), "out": torch.zeros(2, 3, 5, 4),
    }  # fmt: skip
    backend.run("gather", given)
    for key, wrong in (
        ("rows", np.zeros((2, 9, 4))),
        ("uniform", np.zeros((3, 2)).T),
        ("size", np.full(2, 9, np.int32)),
        ("out", torch.zeros(2, 3, 5, 5)),
    ):
        with pytest.raises(ShapeError, match=f"^gather: {key}: "):
            backend.run("gather", {**given, key: wrong})


# --------------------------------------------------------------------------------------------------------- networks


def policy(kernel: str) -> Network:
    generators = [torch.Generator().manual_seed(k) for k in range(2)]
    module = LiquidActor(make_cell("cfc", [auto_ncp(3, 9, 1, seed=k) for k in range(2)], generators))
    return make_network(module, FlatParameters(module, is_trained=True), kernel)


X, H, DT = torch.zeros(2, 4, 3, 3), torch.zeros(2, 4, 9), torch.ones(2, 4, 3)


@each_kernel
@pytest.mark.parametrize(
    ("sources", "options", "text"),
    [
        ((X[..., :2],), {}, "sources: expected 3 features together, got 2"),
        ((X[:, :, 0],), {}, r"source 0: expected shape \(S, B, T, features\).*got \(2, 4, 3\)"),
        ((X.double(),), {}, "source 0: expected numbers of type torch.float32, got torch.float64"),
        ((X, X[:, :3]), {}, r"source 1: .*got \(2, 3, 3, 3\) after \(2, 4, 3, 3\)"),
        ((X,), {"hidden": H[..., :8]}, r"hidden: expected shape \(S, B, H\) = \(2, 4, 9\), got \(2, 4, 8\)"),
        ((X,), {"hidden": H.double()}, "hidden: expected numbers of type torch.float32"),
        ((X,), {"dt": DT.unsqueeze(3)}, r"dt: expected shape \(S, B, T\) = \(2, 4, 3\), got \(2, 4, 3, 1\)"),
        ((X,), {"dt": DT.double()}, "dt: expected numbers of type torch.float32"),
        ((X,), {"resets": DT[:, :, :2]}, "resets: expected shape"),
        ((X,), {"resets": DT.long()}, "resets: expected numbers of type torch.float32, got torch.int64"),
    ],
)
def test_a_network_refuses_other_inputs(
    kernel: str, sources: tuple[Tensor, ...], options: dict[str, Tensor], text: str
) -> None:
    with pytest.raises(ShapeError, match=text):
        policy(kernel).run(*sources, **options)
    with pytest.raises(ShapeError, match=text):
        policy(kernel).vjp(*sources, **options)


@each_kernel
def test_a_network_refuses_other_gradients(kernel: str) -> None:
    for wrong in (torch.zeros(2, 4, 3), torch.zeros(2, 4, 3, 2), torch.zeros(2, 4, 3, 1).double()):
        out, pull = policy(kernel).vjp(X)
        assert out.shape == (2, 4, 3, 1)
        with pytest.raises(ShapeError, match="d_out: expected"):
            pull.parameters(wrong)


def test_c_refuses_a_gradient_that_lies_apart() -> None:
    if kernels.extension is None:
        pytest.skip("the native kernel isn't built here")
    generators = [torch.Generator().manual_seed(0)]
    module = QNetwork(3, 1, units=(5,), generators=generators)
    network = make_network(module, FlatParameters(module, is_trained=True), "native")
    _, pull = network.vjp(torch.zeros(1, 4, 6, 3), torch.zeros(1, 4, 6, 1))
    with pytest.raises(ShapeError, match="d_out: expected numbers one after another in memory"):
        pull.parameters(torch.zeros(1, 6, 4, 1).transpose(1, 2))
