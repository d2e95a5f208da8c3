"""CfC in all its forms, GRU and dense layers."""

from __future__ import annotations

import numpy as np

from velora.ops.arrays.namespace import Emit, Namespace, Values
from velora.ops.arrays.packing import Packing
from velora.ops.arrays.part import Extent, Heads
from velora.ops.plan import Kind, Layer


class CfC(Heads):
    """``h = (1 - g) * tanh(ff1) + g * tanh(ff2)`` or ``tanh(ff1) + g * tanh(ff2)``; g = logistic(ta * dt + tb).

    With s = logistic(2 ff), which is (tanh(ff) + 1) / 2, that is ``2 * (s1 + g * (s2 - s1)) - 1`` or the same with 1/2
    for the second s1. Kept are s1, s2, g and that difference.
    """

    def __init__(self, xp: Namespace, layer: Layer, extent: Extent, packing: Packing, *, recurs: bool) -> None:
        one = xp.sign
        scales, has_dt = [2 * one, 2 * one, one, one], extent.has_dt
        super().__init__(xp, layer, extent, packing, recurs=recurs, scales=scales, sums_last_two=not has_dt)
        self._is_default = layer.kind is Kind.CFC

    def activate(self, do: Emit, t: int, heads: Values) -> None:
        """See :class:`Heads`."""
        xp, n, h = self.xp, self.n, self.h[t]
        s1, s2, gate, last = (heads[:, k * n : (k + 1) * n] for k in range(4))
        if self.elapsed is not None:
            do(xp.multiply, gate, self.elapsed[t], gate)
            do(xp.add, gate, last, gate)
        xp.logistic(do, heads[:, : 3 * n])
        do(xp.subtract, s2, s1 if self._is_default else xp.half, last)
        do(xp.multiply, gate, last, h)
        do(xp.add, h, s1, h)
        self.doubled(do, h)

    def prepare_backward(self, do: Emit, begin: int, end: int) -> None:
        """See :class:`Part`. The heads become their derivatives by h, but for a factor of 2."""
        xp, n = self.xp, self.n
        kept = self._memory[begin:end]
        s1, s2, gate, last = (kept[:, :, k * n : (k + 1) * n] for k in range(4))
        slope = self.spare("slope", end - begin, self.extent.n_seeds, 3 * n, self.extent.n_batch)
        self.logistic_slope(do, kept[:, :, : 3 * n], slope)
        do(xp.multiply, gate, slope[:, :, n : 2 * n], s2)
        if self._is_default:
            do(xp.subtract, xp.one, gate, s1)
            do(xp.multiply, s1, slope[:, :, :n], s1)
        else:
            do(xp.copy, slope[:, :, :n], s1)
        do(xp.multiply, last, slope[:, :, 2 * n :], gate if self.elapsed is None else last)
        if self.elapsed is not None:
            do(xp.multiply, last, self.elapsed[begin:end], gate)

    def backward(self, do: Emit, t: int) -> None:
        """See :class:`Part`."""
        xp, e, heads, dh = self.xp, self.extent, self.heads[t], self.dh[t]
        do(xp.multiply, dh, xp.two, dh)
        by_head = heads.reshape(e.n_seeds, -1, self.n, e.n_batch)
        do(xp.multiply, by_head, dh[:, None], by_head)


class PureCfC(Heads):
    """``h = A - A * e * ff`` with ``e = exp(-dt * (|w_tau| + |ff|))``."""

    def __init__(self, xp: Namespace, layer: Layer, extent: Extent, packing: Packing, *, recurs: bool) -> None:
        super().__init__(xp, layer, extent, packing, recurs=recurs, scales=[1.0])
        neurons = np.arange(self.n)[:, None]
        self._leak, self._top = packing.add(layer.at[2] + neurons), packing.add(layer.at[3] + neurons)
        shape = extent.n_seeds, self.n, extent.n_batch
        self._size, self._lost = xp.empty(extent.n_seeds, self.n, 1), xp.empty(extent.n_time, *shape)
        self._decay = xp.empty(extent.slots, *shape)

    def prepare(self, do: Emit) -> None:
        """See :class:`Part`."""
        super().prepare(do)
        do(self.xp.absolute, self._leak.values, self._size)

    def activate(self, do: Emit, t: int, heads: Values) -> None:
        """See :class:`Heads`."""
        xp, h, decay, lost = self.xp, self.h[t], self._decay[t if self.extent.keeps else 0], self._lost[t]
        do(xp.absolute, heads, decay)
        do(xp.add, decay, self._size, decay)
        if self.elapsed is not None:
            do(xp.multiply, decay, self.elapsed[t], decay)
        do(xp.subtract, xp.zero, decay, decay)
        do(xp.exp, decay, decay)
        do(xp.multiply, decay, heads, lost)
        do(xp.multiply, lost, self._top.values, h)
        do(xp.subtract, self._top.values, h, h)

    def prepare_backward(self, do: Emit, begin: int, end: int) -> None:
        """See :class:`Part`. The heads become ``-A * e * (1 - dt * |ff|)``, the derivative of h."""
        xp, heads = self.xp, self.heads[begin:end]
        do(xp.absolute, heads, heads)
        if self.elapsed is not None:
            do(xp.multiply, heads, self.elapsed[begin:end], heads)
        do(xp.subtract, heads, xp.one, heads)
        do(xp.multiply, heads, self._decay[begin:end], heads)
        do(xp.multiply, heads, self._top.values, heads)

    def backward(self, do: Emit, t: int) -> None:
        """See :class:`Part`."""
        do(self.xp.multiply, self.heads[t], self.dh[t], self.heads[t])

    def finish(self, do: Emit) -> None:
        """See :class:`Part`."""
        super().finish(do)
        xp, e = self.xp, self.extent
        sums, signs = xp.empty(e.n_time, e.n_seeds, self.n), xp.empty(e.n_seeds, self.n, 1)
        kept = xp.empty(e.n_time, e.n_seeds, self.n, e.n_batch)
        do(xp.subtract, xp.one, self._lost, kept)
        do(xp.multiply, kept, self.dh, kept)
        do(xp.sum_last, kept, sums)
        do(xp.sum_first, sums, self._top.gradient[:, :, 0])
        # A * dt * lost is what the state loses more slowly where the leak is larger.
        do(xp.multiply, self._lost, self.dh, kept)
        if self.elapsed is not None:
            do(xp.multiply, kept, self.elapsed, kept)
        do(xp.sum_last, kept, sums)
        leak = self._leak.gradient
        do(xp.sum_first, sums, leak[:, :, 0])
        do(xp.multiply, leak, self._top.values, leak)
        do(xp.direction, self._leak.values, signs)
        do(xp.multiply, leak, signs, leak)


class GRU(Heads):
    """``h = (1 - z) * new + z * old`` with ``new = tanh(x + r * s)``. Kept are r, z, new and s."""

    def __init__(self, xp: Namespace, layer: Layer, extent: Extent, packing: Packing, *, recurs: bool) -> None:
        one = xp.sign
        super().__init__(xp, layer, extent, packing, recurs=recurs, scales=[one, one, 2 * one, 2 * one])
        shape = extent.n_seeds, self.n, extent.n_batch
        self._from_state, self.direct = xp.empty(*shape), xp.empty(*shape) if recurs and extent.keeps else None
        self._keep = xp.empty(extent.slots, *shape) if recurs else None

    def activate(self, do: Emit, t: int, heads: Values) -> None:
        """See :class:`Heads`."""
        xp, n, h = self.xp, self.n, self.h[t]
        reset, keep, new, from_state = (heads[:, k * n : (k + 1) * n] for k in range(4))
        xp.logistic(do, heads[:, : 2 * n])
        do(xp.multiply, reset, from_state, self._from_state)
        do(xp.add, new, self._from_state, new)
        xp.logistic(do, new)
        self.doubled(do, new)
        if self.recurs:
            do(xp.subtract, self.old[t], new, h)
            do(xp.multiply, h, keep, h)
            do(xp.add, h, new, h)
        else:  # the old state is zero
            do(xp.multiply, keep, new, h)
            do(xp.subtract, new, h, h)

    def prepare_backward(self, do: Emit, begin: int, end: int) -> None:
        """See :class:`Part`. The heads become their derivatives by h."""
        xp, n, e = self.xp, self.n, self.extent
        kept = self.heads[begin:end]
        reset, keep, new, from_state = (kept[:, :, k * n : (k + 1) * n] for k in range(4))
        slope = self.spare("slope", end - begin, e.n_seeds, 2 * n, e.n_batch)
        by_new, open_ = self.spare("by new", *new.shape), self.spare("open", *new.shape)
        self.logistic_slope(do, kept[:, :, : 2 * n], slope)
        do(xp.subtract, xp.one, keep, open_)
        if self._keep is not None:
            do(xp.copy, keep, self._keep[begin:end])
        old = self.old[begin:end] if self.recurs else xp.zero
        do(xp.subtract, old, new, keep)
        do(xp.multiply, keep, slope[:, :, n:], keep)
        self.tanh_slope(do, new, by_new)
        do(xp.multiply, by_new, open_, new)
        do(xp.multiply, from_state, slope[:, :, :n], open_)
        do(xp.multiply, new, reset, from_state)
        do(xp.multiply, open_, new, reset)

    def backward(self, do: Emit, t: int) -> None:
        """See :class:`Part`."""
        xp, e, heads, dh = self.xp, self.extent, self.heads[t], self.dh[t]
        if self.direct is not None and self._keep is not None:
            do(xp.multiply, dh, self._keep[t], self.direct)
        by_head = heads.reshape(e.n_seeds, 4, self.n, e.n_batch)
        do(xp.multiply, by_head, dh[:, None], by_head)


class Dense(Heads):
    """``h = tanh(z)`` or ``h = max(z, 0)``."""

    def __init__(self, xp: Namespace, layer: Layer, extent: Extent, packing: Packing, *, recurs: bool) -> None:
        self._is_tanh = layer.kind is Kind.TANH
        super().__init__(xp, layer, extent, packing, recurs=recurs, scales=[2 * xp.sign if self._is_tanh else 1.0])
        self._is_open = None if self._is_tanh else xp.truths(extent.n_seeds, self.n, extent.n_batch)

    def activate(self, do: Emit, t: int, heads: Values) -> None:
        """See :class:`Heads`."""
        if self._is_tanh:
            self.xp.logistic(do, heads)
            self.doubled(do, heads, self.h[t])
        else:
            self.xp.rectify(do, heads, self.h[t])

    def prepare_backward(self, do: Emit, begin: int, end: int) -> None:
        """See :class:`Part`."""
        if self._is_tanh:
            self.tanh_slope(do, self.h[begin:end], self.heads[begin:end])

    def backward(self, do: Emit, t: int) -> None:
        """See :class:`Part`."""
        xp, heads, dh = self.xp, self.heads[t], self.dh[t]
        if self._is_tanh:
            do(xp.multiply, heads, dh, heads)
        else:
            do(xp.greater, self.h[t], xp.zero, self._is_open)
            do(xp.multiply, dh, self._is_open, heads)
