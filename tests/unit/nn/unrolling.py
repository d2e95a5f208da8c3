"""Cells of every kind that the kernels know, and what unrolling them gives, gradients too."""

from __future__ import annotations

import torch
from torch import Tensor

from velora import kernels
from velora.nn.cells import make_cell
from velora.nn.cells.base import Cell
from velora.nn.cells.registry import VARIANTS
from velora.nn.sequence import unroll, unroll_by_steps
from velora.nn.wiring import auto_ncp

KINDS = VARIANTS


def build(kind: str, n_seeds: int, *, units: int = 14, inputs: int = 5) -> Cell:
    generators = [torch.Generator().manual_seed(k) for k in range(n_seeds)]
    wirings = [auto_ncp(inputs, units, 2, seed=k) for k in range(n_seeds)]
    cell = make_cell(kind.split()[0], wirings, generators, **KINDS[kind])
    with torch.no_grad():
        for p in cell.parameters():
            p.add_(0.05 * torch.randn(p.shape, generator=generators[0]))
    return cell


def results(
    cell: Cell, shape: tuple[int, int, int], kernel: str, *, resets: bool = True, seed: int = 0
) -> list[Tensor]:
    """Give states, last state and all gradients of a random weighted sum of them; ``"steps"`` is the reference."""
    g, dtype = torch.Generator().manual_seed(seed), next(cell.parameters()).dtype
    x = torch.randn(*shape, cell.input_size, generator=g, dtype=dtype).requires_grad_()
    h = torch.randn(*shape[:2], cell.state_size, generator=g, dtype=dtype).mul(0.5).requires_grad_()
    dt = torch.rand(*shape, generator=g, dtype=dtype) * 2
    begins = torch.rand(*shape, generator=g) < 0.3 if resets else None
    cell.zero_grad()
    if kernel == "steps":
        states, last = unroll_by_steps(cell, x, h, dt, begins)
    else:
        with kernels.using(kernel):
            states, last = unroll(cell, x, h, dt, begins)
    weights = [torch.randn(t.shape, generator=g, dtype=dtype) for t in (states, last)]
    loss = (states * weights[0]).sum() + (last * weights[1]).sum() + cell.readout(states).square().sum()
    loss.backward()
    grads = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in cell.parameters()]
    inputs = [torch.zeros_like(t) if t.grad is None else t.grad for t in (x, h)]
    return [states.detach(), last.detach(), *inputs, *grads]


def assert_same(ours: list[Tensor], theirs: list[Tensor], *, rtol: float, atol: float) -> None:
    for a, b in zip(ours, theirs, strict=True):
        scale = max(1.0, float(b.abs().max()))
        torch.testing.assert_close(a / scale, b / scale, rtol=rtol, atol=atol)
