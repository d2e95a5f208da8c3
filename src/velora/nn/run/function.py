"""Unrolls of cells under autograd, by the kernel in use."""

from __future__ import annotations

from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from velora.kernels import choice
from velora.kernels.arrays.libraries import namespace
from velora.kernels.arrays.pool import Pool
from velora.kernels.arrays.unroll import Unrolled
from velora.kernels.arrays.workspace import Form
from velora.kernels.native import unroll as native
from velora.kernels.native.binding import numbers
from velora.kernels.plan import Plan
from velora.nn.cells.base import Cell
from velora.nn.parameters import flat_mask
from velora.nn.run.describe import cell_plan


class _Described:
    """A cell as the kernels know it.

    Shapes:
        mask: (S, P), of the parameters' type.
    """

    def __init__(self, plan: Plan | None, mask: Tensor | None, versions: tuple[int, ...]) -> None:
        self.plan, self.mask, self.versions = plan, mask, versions
        self._compiled: native.CompiledPlan | None = None
        self._pools: dict[str, Pool] = {}

    def compiled(self) -> native.CompiledPlan | None:
        """Describe it to the native kernel; ``None`` if that doesn't know it."""
        if self._compiled is None and self.plan is not None and native.is_known(self.plan):
            self._compiled = native.CompiledPlan(self.plan)
        return self._compiled

    def pool(self, kernel: str, like: Tensor) -> Pool:
        """Find the memory for unrolls in arrays."""
        key = f"{kernel} {like.dtype} {like.device}"
        if key not in self._pools:
            assert self.plan is not None
            self._pools[key] = Pool(namespace(kernel, like.dtype, like.device), self.plan, self.mask)
        return self._pools[key]


_described: WeakKeyDictionary[nn.Module, _Described] = WeakKeyDictionary()


def _describe(cell: Cell) -> _Described:
    """Describe a cell, anew when its masks have been written to, as by loading weights, or were moved."""
    parameter = next(cell.parameters())
    versions = (*(buffer._version for buffer in cell.buffers()), hash((parameter.dtype, parameter.device)))
    known = _described.get(cell)
    if known is None or known.versions != versions:
        with torch.inference_mode(False), torch.no_grad():  # autograd refuses what was made in inference mode
            plan = cell_plan(cell) if known is None else known.plan
            known = _described[cell] = _Described(plan, flat_mask(cell), versions)
    return known


def unroll_by_kernel(
    cell: Cell, x: Tensor, h: Tensor, dt: Tensor, resets: Tensor | None
) -> tuple[Tensor, Tensor] | None:
    """Unroll as :func:`velora.nn.unroll` does; ``None`` where no kernel can."""
    parameter = next(cell.parameters())
    if parameter.dtype not in (torch.float32, torch.float64) or dt.requires_grad:
        return None
    if any(t.dtype != parameter.dtype or t.device != parameter.device for t in (x, h, dt)):
        return None
    described = _describe(cell)
    if described.plan is None:
        return None
    parameters = torch.cat([p.flatten(1) for p in cell.parameters()], 1)
    if described.mask is not None:
        parameters = parameters * described.mask
    kernel = choice.chosen(parameters)
    compiled = described.compiled() if kernel == "native" else None
    wants_gradient = torch.is_grad_enabled() and (parameters.requires_grad or x.requires_grad or h.requires_grad)
    if compiled is not None:
        given = (parameters, x, h, dt, resets, compiled, described.mask)
        if wants_gradient:
            return _NativeUnroll.apply(*given)  # type: ignore[no-any-return,no-untyped-call]
        run = _run_natively(*given, keeps=False)
        assert run.states is not None
        assert run.last is not None
        return run.states, run.last
    pool = described.pool("torch" if kernel == "torch" else "numpy", parameters)
    if wants_gradient:
        return _ArrayUnroll.apply(parameters, x, h, dt, resets, pool)  # type: ignore[no-any-return,no-untyped-call]
    made = _run_in_arrays(parameters, x, h, dt, resets, pool, keeps=False)
    pool.give_back(made.unrolled)
    return made.states, made.last


# ------------------------------------------------------------------------------------------------------------- native


def _run_natively(
    parameters: Tensor,
    x: Tensor,
    h: Tensor,
    dt: Tensor,
    resets: Tensor | None,
    plan: native.CompiledPlan,
    mask: Tensor | None,
    *,
    keeps: bool,
) -> native.Unrolled:
    x = x if x.stride(3) == 1 else x.contiguous()
    h = h if h.stride(2) == 1 else h.contiguous()
    threads = native.useful_threads(x.shape[0] * x.shape[1] * x.shape[2] * parameters.shape[1])
    wants = ("states", "last")
    return native.Unrolled(plan, parameters, mask, (x,), h, dt, resets, keeps=keeps, wants=wants, threads=threads)


class _NativeUnroll(torch.autograd.Function):
    """The native kernel under autograd.

    Shapes:
        parameters: (S, P). The others as in :func:`velora.nn.unroll`.
    """

    @staticmethod
    def forward(
        ctx: Any,
        parameters: Tensor,
        x: Tensor,
        h: Tensor,
        dt: Tensor,
        resets: Tensor | None,
        plan: native.CompiledPlan,
        mask: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.run = _run_natively(parameters, x, h, dt, resets, plan, mask, keeps=True)
        ctx.shape = parameters.shape
        return ctx.run.states, ctx.run.last

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_states: Tensor | None, d_last: Tensor | None) -> tuple[Tensor | None, ...]:
        wants_parameters, wants_x, wants_h = ctx.needs_input_grad[:3]
        gradient = numbers(*ctx.shape) if wants_parameters else None
        (d_x,), d_h = ctx.run.backward(
            d_states=None if d_states is None else d_states.contiguous(),
            d_last=None if d_last is None else d_last.contiguous(),
            gradient=gradient,
            wants_sources=(wants_x,),
            wants_hidden=wants_h,
        )
        return gradient, d_x, d_h, None, None, None, None


# ------------------------------------------------------------------------------------------------------------- arrays


class _Made(NamedTuple):
    unrolled: Unrolled
    states: Tensor
    last: Tensor


def _run_in_arrays(
    parameters: Tensor, x: Tensor, h: Tensor, dt: Tensor, resets: Tensor | None, pool: Pool, *, keeps: bool
) -> _Made:
    """Unroll; what is returned lies in memory of its own, in the order in which it was computed: time comes first."""
    (n_seeds, n_batch, n_time, width), size, xp = x.shape, h.shape[2], pool.xp
    form = Form(
        n_seeds, n_batch, n_time, (width,), has_hidden=True, has_dt=True, has_resets=resets is not None, keeps=keeps
    )
    unrolled = pool.take(form)
    inputs = [None if tensor is None else xp.view(tensor) for tensor in (h, dt, resets)]
    unrolled.forward(xp.view(parameters), [xp.view(x)], *inputs)
    states = xp.empty(n_time, size, n_seeds, n_batch).swapaxes(0, 2).swapaxes(1, 3)
    last = xp.empty(size, n_seeds, n_batch).swapaxes(0, 1).swapaxes(1, 2)
    with xp.quietly():
        unrolled.memory.write_states(states)
        unrolled.memory.write_last(last)
    return _Made(unrolled, xp.tensor(states), xp.tensor(last))


class _ArrayUnroll(torch.autograd.Function):
    """Arrays of NumPy or PyTorch under autograd.

    Shapes:
        parameters: (S, P). The others as in :func:`velora.nn.unroll`.
    """

    @staticmethod
    def forward(
        ctx: Any, parameters: Tensor, x: Tensor, h: Tensor, dt: Tensor, resets: Tensor | None, pool: Pool
    ) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        made = _run_in_arrays(parameters, x, h, dt, resets, pool, keeps=True)
        ctx.unrolled, ctx.pool, ctx.shapes = made.unrolled, pool, (parameters.shape, x.shape, h.shape)
        return made.states, made.last

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_states: Tensor | None, d_last: Tensor | None) -> tuple[Tensor | None, ...]:
        if ctx.unrolled is None:
            raise RuntimeError("backward: a kernel keeps its steps for one backward pass only; run forward again")
        unrolled, pool, xp = ctx.unrolled, ctx.pool, ctx.pool.xp
        ctx.unrolled = None
        gradient, d_x, d_h = (
            xp.empty(*shape) if wanted else None
            for shape, wanted in zip(ctx.shapes, ctx.needs_input_grad, strict=False)
        )
        unrolled.backward(
            d_states=None if d_states is None else xp.view(d_states),
            d_last=None if d_last is None else xp.view(d_last),
            gradient=gradient,
            wants_sources=(d_x is not None,),
            wants_hidden=d_h is not None,
        )
        with xp.quietly():
            if d_x is not None:
                xp.copy(unrolled.d_source(0), d_x)
            if d_h is not None:
                unrolled.write_d_hidden(d_h)
        pool.give_back(unrolled)
        made = [None if a is None else xp.tensor(a) for a in (gradient, d_x, d_h)]
        return *made, None, None, None
