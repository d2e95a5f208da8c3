"""Run a cell along time."""

from __future__ import annotations

import torch
from torch import Tensor

from velora.core.errors import ShapeError
from velora.nn.cells.base import Cell
from velora.nn.run.function import unroll_by_kernel


def unroll(cell: Cell, x: Tensor, h: Tensor, dt: Tensor, resets: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Feed a sequence to a cell and keep every state.

    The weights are formed once. Equal to calling the cell step by step, so gradients flow back through all T steps,
    except across a reset. Cells of this package, but for those with a backbone, run in the kernel in use (see
    :func:`velora.kernels.using`), which is differentiated once. Everything else goes step by step through PyTorch:
    other cells, other types than float32 and float64, and a ``dt`` that wants a gradient.

    Shapes:
        x: (S, B, T, input_size), T >= 1. h: (S, B, state_size), the state before the first input.
        dt: (S, B, T), time since the previous input of that sample, >= 0.
        resets: (S, B, T), bool; True forgets the state *before* that step's input is read, as where an episode begins.
        states: (S, B, T, state_size), after each step. Also returned: the last of them, (S, B, state_size).

    Raises:
        ShapeError: if a tensor isn't shaped as above.
    """
    _check(cell, x, h, dt, resets)
    return unroll_by_kernel(cell, x, h, dt, resets) or unroll_by_steps(cell, x, h, dt, resets)


def unroll_by_steps(
    cell: Cell, x: Tensor, h: Tensor, dt: Tensor, resets: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Do the same by calling the cell's own step, under PyTorch's autograd: slow, and the reference."""
    weights = cell.weights()
    inputs, times = x.unbind(2), dt.unbind(2)
    forget = None if resets is None else resets.unsqueeze(3).unbind(2)
    states = []
    for t in range(len(inputs)):
        if forget is not None:
            # Filling, not multiplying by 0: a state that has become infinite or NaN is forgotten too.
            h = h.masked_fill(forget[t], 0.0)
        h = cell.step(weights, inputs[t], h, times[t])
        states.append(h)
    return torch.stack(states, 2), h


def _check(cell: Cell, x: Tensor, h: Tensor, dt: Tensor, resets: Tensor | None) -> None:
    if x.dim() != 4 or x.shape[2] < 1:
        raise ShapeError(f"x: expected (seeds, batch, time >= 1, features), got {tuple(x.shape)}")
    if dt.shape != x.shape[:3]:
        raise ShapeError(f"dt: expected (seeds, batch, time) = {tuple(x.shape[:3])}, got {tuple(dt.shape)}")
    if resets is not None and (resets.shape != x.shape[:3] or resets.dtype != torch.bool):
        raise ShapeError(
            f"resets: expected bool (seeds, batch, time) = {tuple(x.shape[:3])}, "
            f"got {resets.dtype} {tuple(resets.shape)}"
        )
    cell.check(x[:, :, 0], h, dt[:, :, 0])
