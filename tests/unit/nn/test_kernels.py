"""Every kernel against the cells' own steps under PyTorch's autograd."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from velora import kernels
from velora.core.errors import SettingError
from velora.kernels.native import binding
from velora.nn.cells import BackboneSettings, CfCCell, make_cell
from velora.nn.sequence import unroll, unroll_by_steps
from velora.nn.wiring import auto_ncp

from .unrolling import KINDS, assert_same, build, results

ARRAYS = ["numpy", "torch"]
ALL = [*ARRAYS, *(["native"] if kernels.extension else [])]


@pytest.fixture(params=ALL)
def kernel(request: pytest.FixtureRequest) -> Iterator[str]:
    with kernels.using(request.param):
        yield request.param


def test_the_native_kernel_is_there_where_it_could_be_built() -> None:
    """Without this, a kernel that fails to build would only show as skipped tests."""
    has_headers = Path(sysconfig.get_paths()["include"], "Python.h").exists()
    if shutil.which("cc") and has_headers:
        assert kernels.extension is not None, kernels.report().problem


@pytest.mark.parametrize("n_seeds", [1, 3])
@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.some(16)
def test_arrays_equal_autograd_in_double_precision(kind: str, name: str, n_seeds: int) -> None:
    """One sample, one step, more samples than neurons, and more steps than one goes back through at once."""
    cell = build(kind, n_seeds).double()
    for batch, time in ((1, 1), (7, 5), (1, 9), (70, 1), (200, 11)):
        for resets in (True, False):
            shape = n_seeds, batch, time
            ours, theirs = (results(cell, shape, how, resets=resets) for how in (name, "steps"))
            assert_same(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kernel_equals_autograd_in_single_precision(kind: str, kernel: str) -> None:
    cell = build(kind, 2)
    for shape in ((2, 1, 1), (2, 7, 5), (2, 130, 2)):
        for _ in range(2):  # the second time in memory that was used before
            ours = results(cell, shape, kernel)
        assert_same(ours, results(cell, shape, "steps"), rtol=2e-5, atol=5e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_without_gradients_the_states_are_the_same(kind: str, kernel: str) -> None:
    cell = build(kind, 2)
    x, h, dt = torch.randn(2, 3, 4, 5), torch.randn(2, 3, cell.state_size), torch.rand(2, 3, 4)
    resets = torch.rand(2, 3, 4) < 0.3
    states, last = unroll(cell, x, h, dt, resets)
    with torch.no_grad():
        plain, plain_last = unroll(cell, x, h, dt, resets)
    torch.testing.assert_close(plain, states.detach())
    torch.testing.assert_close(plain_last, last.detach())
    assert not plain.requires_grad


@pytest.mark.parametrize("kind", ["cfc", "ltc", "gru", "cfc mixed"])
def test_seeds_are_the_same_alone_and_together(kind: str, kernel: str) -> None:
    three = build(kind, 3)
    alone = build(kind, 1)
    alone.load_state_dict({name: value[1:2] for name, value in three.state_dict().items()})
    x, h, dt = torch.randn(3, 9, 4, 5), torch.randn(3, 9, three.state_size), torch.rand(3, 9, 4)
    together, _ = unroll(three, x, h, dt)
    torch.testing.assert_close(unroll(alone, x[1:2], h[1:2], dt[1:2])[0], together[1:2], rtol=1e-6, atol=1e-6)


def test_inputs_may_lie_in_memory_in_any_order(kernel: str) -> None:
    cell = build("cfc", 2)
    x, h = torch.randn(5, 4, 3, 2).permute(3, 2, 1, 0), torch.randn(14, 2, 1).permute(1, 2, 0).expand(2, 3, 14)
    dt, resets = torch.ones(1).expand(2, 3, 4), (torch.rand(4, 3, 2) < 0.3).permute(2, 1, 0)
    ours, _ = unroll(cell, x, h, dt, resets)
    torch.testing.assert_close(ours, unroll_by_steps(cell, x, h, dt, resets)[0], rtol=1e-5, atol=1e-6)


def test_a_second_backward_is_refused(kernel: str) -> None:
    cell = build("cfc", 1)
    states, _ = unroll(cell, torch.randn(1, 2, 3, 5), torch.zeros(1, 2, 14), torch.ones(1, 2, 3))
    states.sum().backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="one backward pass only"):
        states.sum().backward()


def test_two_unrolls_of_one_form_may_wait_for_their_gradients(kernel: str) -> None:
    cell = build("cfc", 1)
    h, dt = torch.zeros(1, 2, 14), torch.ones(1, 2, 3)
    inputs = [torch.randn(1, 2, 3, 5, requires_grad=True) for _ in range(2)]
    sum(unroll(cell, x, h, dt)[0].square().sum() for x in inputs).backward()  # type: ignore[union-attr]
    ours = [x.grad for x in inputs]
    for x, grad in zip(inputs, ours, strict=True):
        (reference,) = torch.autograd.grad(unroll_by_steps(cell, x, h, dt)[0].square().sum(), x)
        torch.testing.assert_close(grad, reference, rtol=1e-4, atol=1e-5)


def test_what_no_kernel_knows_goes_step_by_step(kernel: str) -> None:
    cell = CfCCell(3, 4, [torch.Generator()], backbone=BackboneSettings(units=8))
    states, _ = unroll(cell, torch.randn(1, 2, 3, 3), torch.zeros(1, 2, 4), torch.ones(1, 2, 3))
    assert states.shape == (1, 2, 3, 4)
    dt = torch.ones(1, 2, 3, requires_grad=True)
    cell = build("cfc", 1)  # type: ignore[assignment]
    unroll(cell, torch.randn(1, 2, 3, 5), torch.zeros(1, 2, 14), dt)[0].sum().backward()
    assert dt.grad is not None
    assert float(dt.grad.abs().sum()) > 0
    half = build("cfc", 1).bfloat16()
    ones = (torch.ones(s, dtype=torch.bfloat16) for s in ((1, 2, 3, 5), (1, 2, 14), (1, 2, 3)))
    assert unroll(half, *ones)[0].dtype == torch.bfloat16


@pytest.mark.parametrize("kind", KINDS)
def test_nan_spreads_but_a_reset_forgets_it(kind: str, kernel: str) -> None:
    cell = build(kind, 1)
    x, h, dt = torch.randn(1, 2, 3, 5), torch.zeros(1, 2, cell.state_size), torch.ones(1, 2, 3)
    h[0, 0] = float("nan")
    states, _ = unroll(cell, x, h, dt)
    assert states[0, 0].isnan().any() or kind == "memoryless"
    assert not states[0, 1].isnan().any()
    resets = torch.zeros(1, 2, 3, dtype=torch.bool)
    resets[0, 0, 0] = True
    assert not unroll(cell, x, h, dt, resets)[0].isnan().any()
    x[0, 1, 1] = float("nan")
    assert unroll(cell, x, h, dt, resets)[0][0, 1, 1:].isnan().any()


def test_a_cell_first_used_in_inference_mode_can_be_trained(kernel: str) -> None:
    cell = build("cfc", 1)
    x, h, dt = torch.randn(1, 2, 3, 5), torch.zeros(1, 2, 14), torch.ones(1, 2, 3)
    with torch.inference_mode():
        unroll(cell, x, h, dt)
    for _ in range(2):
        unroll(cell, x, h, dt)[0].sum().backward()
    assert all(p.grad is not None for p in cell.parameters())


def test_a_wiring_that_is_loaded_later_holds(kernel: str) -> None:
    for kind in ("cfc", "ltc"):
        first, second = build(kind, 1), make_cell(kind, [auto_ncp(5, 14, 2, seed=9)], [torch.Generator()])
        x, h, dt = torch.randn(1, 2, 3, 5), torch.zeros(1, 2, 14), torch.ones(1, 2, 3)
        before, _ = unroll(first, x, h, dt)
        first.load_state_dict(second.state_dict())
        after, _ = unroll(first, x, h, dt)
        assert not torch.equal(before, after)
        torch.testing.assert_close(after, unroll_by_steps(first, x, h, dt)[0], rtol=1e-5, atol=1e-6)


def test_a_kernel_is_chosen_by_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "extension", None)
    assert kernels.choose("auto") == "numpy"
    assert kernels.choose("auto", torch.device("cuda")) == "torch"
    with pytest.raises(SettingError, match=r"install a C compiler and install Velora again; .*, or use 'numpy'"):
        kernels.choose("native")
    with pytest.raises(SettingError, match="'numpy' computes on the CPU, but the device is cuda; use 'torch'"):
        kernels.choose("numpy", torch.device("cuda"))
    with pytest.raises(SettingError, match="kernel: expected one of auto, native, numpy, torch, got 'numba'"):
        kernels.choose("numba")


@pytest.mark.parametrize("digest", [0, None], ids=["other tables", "tables unknown"])
def test_a_kernel_built_from_other_tables_is_not_used(digest: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = ModuleType("velora.kernels._native")
    if digest is not None:
        stale.tables_digest = lambda: digest  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "velora.kernels._native", stale)
    extension, problem = binding._load()
    assert extension is None
    assert problem == "it was built from other tables than those of velora.kernels"


@pytest.mark.slow
def test_an_agent_learns_where_nothing_was_compiled() -> None:
    """Another Python, in which the compiled module can't be imported."""
    program = (
        "import sys; sys.modules['velora.kernels._native'] = None\n"
        "from velora.models import LiquidDDPG\n"
        "agent = LiquidDDPG(3, 8, 1, seed=0, device='cpu', warmup_steps=20, buffer_size=100)\n"
        "agent.train('Pendulum-v1', 8, n_steps=40, progress_bar=False, summary=False)\n"
        "print(agent.kernel, agent.progress[0].update > 10)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["numpy", "True"], done.stderr
