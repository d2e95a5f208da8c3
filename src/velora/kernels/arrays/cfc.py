"""CfC layers in all their forms."""

from __future__ import annotations

import numpy as np

from velora.kernels.arrays.layer import Extent, Heads, by_seed, computes
from velora.kernels.arrays.namespace import Emit, Namespace, Values
from velora.kernels.arrays.packing import Packing
from velora.kernels.layers import Kind
from velora.kernels.plan import Layer


@computes(Kind.CFC, Kind.CFC_NO_GATE)
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
        s1, s2, gate, last = (heads[k * n : (k + 1) * n] for k in range(4))
        if self.elapsed is not None:
            do(xp.multiply, gate, self.elapsed[t], gate)
            do(xp.add, gate, last, gate)
        xp.logistic(do, heads[: 3 * n])
        do(xp.subtract, s2, s1 if self._is_default else xp.half, last)
        do(xp.multiply, gate, last, h)
        do(xp.add, h, s1, h)
        self.doubled(do, h)

    def backward(self, do: Emit, t: int) -> None:
        """See :class:`Part`. By the heads: dh/da = 2 (1 - g) s1', dh/db = 2 g s2', dh/dd = 2 (s2 - s1) g'.

        By c it is that times dt. A prime is the slope of the logistic function, s (1 - s), and the new state
        h = 2 (s1 + g (s2 - s1)) - 1.
        """
        xp, n, kept, dh = self.xp, self.n, self._memory[t], self.dh[t]
        s1, s2, gate, last = (kept[k * n : (k + 1) * n] for k in range(4))
        slope = self.spare("slope", 3 * n)
        self.logistic_slope(do, kept[: 3 * n], slope)
        do(xp.multiply, gate, slope[n : 2 * n], s2)
        if self._is_default:
            do(xp.subtract, xp.one, gate, s1)
            do(xp.multiply, s1, slope[:n], s1)
        else:
            do(xp.copy, slope[:n], s1)
        do(xp.multiply, last, slope[2 * n :], gate if self.elapsed is None else last)
        if self.elapsed is not None:
            do(xp.multiply, last, self.elapsed[t], gate)
        # The heads are their derivatives by h now, but for a factor of 2.
        do(xp.multiply, dh, xp.two, dh)
        self.times(do, t, dh)


@computes(Kind.CFC_PURE)
class PureCfC(Heads):
    """``h = A - A * e * ff`` with ``e = exp(-dt * (|w_tau| + |ff|))``."""

    def __init__(self, xp: Namespace, layer: Layer, extent: Extent, packing: Packing, *, recurs: bool) -> None:
        super().__init__(xp, layer, extent, packing, recurs=recurs, scales=[1.0])
        neurons = np.arange(self.n)[:, None]
        self._leak, self._top = (packing.add(layer.begin(name) + neurons) for name in ("w_tau", "A"))
        self._size = xp.empty(extent.n_seeds, self.n, 1)
        self._lost, self._decay = self.rows(extent.n_time, self.n), self.rows(extent.slots, self.n)

    def prepare(self, do: Emit) -> None:
        """See :class:`Part`."""
        super().prepare(do)
        do(self.xp.absolute, self._leak.values, self._size)

    def activate(self, do: Emit, t: int, heads: Values) -> None:
        """See :class:`Heads`."""
        xp, h, decay, lost = self.xp, self.h[t], self._decay[t if self.extent.keeps else 0], self._lost[t]
        do(xp.absolute, heads, decay)
        do(xp.add, decay, by_seed(self._size), decay)
        if self.elapsed is not None:
            do(xp.multiply, decay, self.elapsed[t], decay)
        do(xp.subtract, xp.zero, decay, decay)
        do(xp.exp, decay, decay)
        do(xp.multiply, decay, heads, lost)
        do(xp.multiply, lost, by_seed(self._top.values), h)
        do(xp.subtract, by_seed(self._top.values), h, h)

    def backward(self, do: Emit, t: int) -> None:
        """See :class:`Part`. The heads become ``-A * e * (1 - dt * |ff|)``, the derivative of h, times its gradient."""
        xp, heads = self.xp, self.heads[t]
        do(xp.absolute, heads, heads)
        if self.elapsed is not None:
            do(xp.multiply, heads, self.elapsed[t], heads)
        do(xp.subtract, heads, xp.one, heads)
        do(xp.multiply, heads, self._decay[t], heads)
        do(xp.multiply, heads, by_seed(self._top.values), heads)
        do(xp.multiply, heads, self.dh[t], heads)

    def finish(self, do: Emit) -> None:
        """See :class:`Part`."""
        super().finish(do)
        xp, e = self.xp, self.extent
        sums, signs = xp.empty(e.n_time, self.n, e.n_seeds), xp.empty(e.n_seeds, self.n, 1)
        kept = self.rows(e.n_time, self.n)
        do(xp.subtract, xp.one, self._lost, kept)
        do(xp.multiply, kept, self.dh, kept)
        do(xp.sum_last, kept, sums)
        do(xp.sum_first, sums.swapaxes(1, 2), self._top.gradient[:, :, 0])
        # A * dt * lost is what the state loses more slowly where the leak is larger.
        do(xp.multiply, self._lost, self.dh, kept)
        if self.elapsed is not None:
            do(xp.multiply, kept, self.elapsed, kept)
        do(xp.sum_last, kept, sums)
        leak = self._leak.gradient
        do(xp.sum_first, sums.swapaxes(1, 2), leak[:, :, 0])
        do(xp.multiply, leak, self._top.values, leak)
        do(xp.direction, self._leak.values, signs)
        do(xp.multiply, leak, signs, leak)
