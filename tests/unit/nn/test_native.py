"""The native kernel against PyTorch's autograd, on every kind of cell, instruction set and number of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from velora.nn.cells import CfCCell, make_cell
from velora.nn.cells.base import Cell
from velora.nn.sequence import unroll
from velora.nn.wiring import auto_ncp
from velora.ops import kernels

pytestmark = pytest.mark.skipif(kernels.native is None, reason="the native kernel isn't built here")

KINDS: dict[str, dict[str, object]] = {
    "cfc": {},
    "cfc no_gate": {"mode": "no_gate"},
    "cfc pure": {"mode": "pure"},
    "cfc mixed": {"mixed_memory": True},
    "gru": {},
    "memoryless": {},
    "ltc": {},
    "ltc mixed": {"mixed_memory": True},
}
SETS = kernels.native.instruction_sets() if kernels.native else []


def _cell(kind: str, n_seeds: int, *, units: int = 14, inputs: int = 5) -> Cell:
    generators = [torch.Generator().manual_seed(k) for k in range(n_seeds)]
    wirings = [auto_ncp(inputs, units, 2, seed=k) for k in range(n_seeds)]
    cell = make_cell(kind.split()[0], wirings, generators, **KINDS[kind])  # type: ignore[arg-type]
    with torch.no_grad():
        for p in cell.parameters():
            p.add_(0.05 * torch.randn(p.shape, generator=generators[0]))
    return cell


def _run(cell: Cell, shape: tuple[int, int, int], kernel: str, *, seed: int = 0) -> list[Tensor]:
    """Give states, last state and all gradients of a random weighted sum of them."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(*shape, cell.input_size, generator=g).requires_grad_()
    h = torch.randn(*shape[:2], cell.state_size, generator=g).mul(0.5).requires_grad_()
    dt = torch.rand(*shape, generator=g) * 2
    resets = torch.rand(*shape, generator=g) < 0.3
    cell.zero_grad()
    with kernels.using(kernel):
        states, last = unroll(cell, x, h, dt, resets)
    readout = cell.readout(states)
    loss = (states * torch.randn(states.shape, generator=g)).sum() + (last * torch.randn(last.shape, generator=g)).sum()
    (loss + readout.square().sum()).backward()  # type: ignore[no-untyped-call]
    grads = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in cell.parameters()]
    inputs = [torch.zeros_like(t) if t.grad is None else t.grad for t in (x, h)]
    return [states.detach(), last.detach(), *inputs, *grads]


@pytest.fixture
def instructions() -> Iterator[Callable[[str], None]]:
    assert kernels.native is not None
    yield kernels.native.use
    kernels.native.use(SETS[-1])


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("kind", KINDS)
def test_it_equals_autograd(kind: str, name: str, instructions: Callable[[str], None]) -> None:
    instructions(name)
    cell = _cell(kind, 2)
    for shape in ((2, 1, 1), (2, 7, 5), (2, 130, 2)):
        for ours, theirs in zip(_run(cell, shape, "native"), _run(cell, shape, "torch"), strict=True):
            scale = max(1.0, float(theirs.abs().max()))
            torch.testing.assert_close(ours / scale, theirs / scale, rtol=2e-5, atol=3e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_threads_gives_the_same_bits(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = _cell(kind, 3)
    alone = _run(cell, (3, 130, 4), "native")
    monkeypatch.setattr(kernels, "useful_threads", lambda n: 3)
    for one, three in zip(alone, _run(cell, (3, 130, 4), "native"), strict=True):
        assert torch.equal(one, three)


def test_seeds_are_the_same_alone_and_together() -> None:
    three = _cell("cfc", 3)
    alone = make_cell("cfc", [auto_ncp(5, 14, 2, seed=1)], [torch.Generator().manual_seed(1)])
    with torch.no_grad():
        for p, q in zip(alone.parameters(), three.parameters(), strict=True):
            p.copy_(q[1:2])
    x, h, dt = torch.randn(3, 9, 4, 5), torch.randn(3, 9, 14), torch.rand(3, 9, 4)
    together, _ = unroll(three, x, h, dt)
    assert torch.equal(unroll(alone, x[1:2], h[1:2], dt[1:2])[0], together[1:2])


def test_a_second_backward_is_refused() -> None:
    cell = _cell("cfc", 1)
    states, _ = unroll(cell, torch.randn(1, 2, 3, 5), torch.zeros(1, 2, 14), torch.ones(1, 2, 3))
    states.sum().backward(retain_graph=True)  # type: ignore[no-untyped-call]
    with pytest.raises(RuntimeError, match="one backward pass only"):
        states.sum().backward()  # type: ignore[no-untyped-call]


def test_what_it_does_not_know_goes_through_torch() -> None:
    from velora.nn.cells import BackboneSettings

    cell = CfCCell(3, 4, [torch.Generator()], backbone=BackboneSettings(units=8))
    states, _ = unroll(cell, torch.randn(1, 2, 3, 3), torch.zeros(1, 2, 4), torch.ones(1, 2, 3))
    assert states.shape == (1, 2, 3, 4)
    dt = torch.ones(1, 2, 3, requires_grad=True)
    cell = _cell("cfc", 1)
    unroll(cell, torch.randn(1, 2, 3, 5), torch.zeros(1, 2, 14), dt)[0].sum().backward()  # type: ignore[no-untyped-call]
    assert dt.grad is not None
    assert float(dt.grad.abs().sum()) > 0


def test_nan_and_infinity_spread_but_a_reset_forgets_them() -> None:
    cell = _cell("cfc", 1)
    x, dt = torch.randn(1, 2, 3, 5), torch.ones(1, 2, 3)
    h = torch.zeros(1, 2, 14)
    h[0, 0, 0] = float("nan")
    states, _ = unroll(cell, x, h, dt)
    assert states[0, 0].isnan().any()
    assert not states[0, 1].isnan().any()
    resets = torch.zeros(1, 2, 3, dtype=torch.bool)
    resets[0, 0, 0] = True
    assert not unroll(cell, x, h, dt, resets)[0].isnan().any()


def test_a_cell_first_used_in_inference_mode_can_be_trained() -> None:
    cell = _cell("cfc", 1)
    x, h, dt = torch.randn(1, 2, 3, 5), torch.zeros(1, 2, 14), torch.ones(1, 2, 3)
    with torch.inference_mode():
        unroll(cell, x, h, dt)
    unroll(cell, x, h, dt)[0].sum().backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None for p in cell.parameters())


def test_a_wiring_that_is_loaded_later_holds() -> None:
    first, second = _cell("cfc", 1), make_cell("cfc", [auto_ncp(5, 14, 2, seed=9)], [torch.Generator()])
    x, h, dt = torch.randn(1, 2, 3, 5), torch.zeros(1, 2, 14), torch.ones(1, 2, 3)
    before, _ = unroll(first, x, h, dt)
    first.load_state_dict(second.state_dict())
    after, _ = unroll(first, x, h, dt)
    assert not torch.equal(before, after)
    with kernels.using("torch"):
        torch.testing.assert_close(after, unroll(first, x, h, dt)[0], rtol=1e-5, atol=1e-6)
