"""Run a cell along time."""

from __future__ import annotations

from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from velora.core.errors import ShapeError
from velora.nn.cells.base import Cell
from velora.nn.parameters import flat_mask
from velora.nn.plan import cell_plan
from velora.ops import kernels


def unroll(cell: Cell, x: Tensor, h: Tensor, dt: Tensor, resets: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Feed a sequence to a cell and keep every state.

    The weights are formed once. Equal to calling the cell step by step, so gradients flow back through all T steps,
    except across a reset. Float32 on the CPU runs in the native kernel, where it is built (see
    :func:`velora.ops.kernels.using`); it does not differentiate by ``dt``, nor twice, where PyTorch does.

    Shapes:
        x: (S, B, T, input_size), T >= 1. h: (S, B, state_size), the state before the first input.
        dt: (S, B, T), time since the previous input of that sample, >= 0.
        resets: (S, B, T), bool; True forgets the state *before* that step's input is read, as where an episode begins.
        states: (S, B, T, state_size), after each step. Also returned: the last of them, (S, B, state_size).

    Raises:
        ShapeError: if a tensor isn't shaped as above.
    """
    _check(cell, x, h, dt, resets)
    if kernels.is_native() and not dt.requires_grad and _are_plain(x, h, dt, next(cell.parameters())):
        plan, mask, _ = _describe(cell)
        if plan is not None:
            return _unroll_natively(plan, mask, cell, x, h, dt, resets)
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


# ------------------------------------------------------------------------------------------------------ native kernel


class _Described(NamedTuple):
    plan: kernels.Plan | None
    mask: Tensor | None
    versions: tuple[int, ...]


_described: WeakKeyDictionary[nn.Module, _Described] = WeakKeyDictionary()


def _describe(cell: Cell) -> _Described:
    """Describe a cell to the native kernel, anew when its masks have been written to, as by loading weights."""
    versions = tuple(buffer._version for buffer in cell.buffers())
    known = _described.get(cell)
    if known is None or known.versions != versions:
        with torch.inference_mode(False), torch.no_grad():  # autograd refuses what was made in inference mode
            plan = cell_plan(cell) if known is None else known.plan
            known = _described[cell] = _Described(plan, flat_mask(cell), versions)
    return known


def _are_plain(*tensors: Tensor) -> bool:
    return all(t.dtype == torch.float32 and t.device.type == "cpu" for t in tensors)


def _unroll_natively(
    plan: kernels.Plan,
    mask: Tensor | None,
    cell: Cell,
    x: Tensor,
    h: Tensor,
    dt: Tensor,
    resets: Tensor | None,
) -> tuple[Tensor, Tensor]:
    parameters = torch.cat([p.flatten(1) for p in cell.parameters()], 1)
    if mask is not None:
        parameters = parameters * mask
    if torch.is_grad_enabled() and (parameters.requires_grad or x.requires_grad or h.requires_grad):
        return _NativeUnroll.apply(parameters, x, h, dt, resets, plan, mask)  # type: ignore[no-any-return,no-untyped-call]
    run = _run(parameters, x, h, dt, resets, plan, mask, keeps=False)
    assert run.states is not None
    assert run.last is not None
    return run.states, run.last


def _run(
    parameters: Tensor,
    x: Tensor,
    h: Tensor,
    dt: Tensor,
    resets: Tensor | None,
    plan: kernels.Plan,
    mask: Tensor | None,
    *,
    keeps: bool,
) -> kernels.Unrolled:
    x = x if x.stride(3) == 1 else x.contiguous()
    h = h if h.stride(2) == 1 else h.contiguous()
    threads = kernels.useful_threads(x.shape[0] * x.shape[1] * x.shape[2] * parameters.shape[1])
    wants = ("states", "last")
    return kernels.Unrolled(plan, parameters, mask, (x,), h, dt, resets, keeps=keeps, wants=wants, threads=threads)


class _NativeUnroll(torch.autograd.Function):
    """The native kernel under autograd.

    Shapes:
        parameters: (S, P). The others as in :func:`unroll`.
    """

    @staticmethod
    def forward(
        ctx: Any,
        parameters: Tensor,
        x: Tensor,
        h: Tensor,
        dt: Tensor,
        resets: Tensor | None,
        plan: kernels.Plan,
        mask: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.run = _run(parameters, x, h, dt, resets, plan, mask, keeps=True)
        ctx.shape = parameters.shape
        return ctx.run.states, ctx.run.last

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_states: Tensor | None, d_last: Tensor | None) -> tuple[Tensor | None, ...]:
        wants_parameters, wants_x, wants_h = ctx.needs_input_grad[:3]
        gradient = torch.empty(ctx.shape) if wants_parameters else None
        (d_x,), d_h = ctx.run.backward(
            d_states=None if d_states is None else d_states.contiguous(),
            d_last=None if d_last is None else d_last.contiguous(),
            gradient=gradient,
            wants_sources=(wants_x,),
            wants_hidden=wants_h,
        )
        return gradient, d_x, d_h, None, None, None, None


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
