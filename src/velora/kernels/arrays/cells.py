"""CfC in all its forms, gated cells and dense layers."""

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
        """See :class:`Part`."""
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


@computes(Kind.GRU, Kind.LEAKY, Kind.LEAKY_NO_RESET)
class Gated(Heads):
    """``h = (1 - keep) * new + keep * old``: GRU and leaky cell, with ``new = tanh(x + r * s)`` or ``tanh(x)``.

    A GRU's keep is its gate. A leaky cell's is ``exp(-dt * softplus(rate))``, without dt a gate too, logistic(-rate).
    Kept are r, the gate or else softplus(rate), new, and s; without a reset only the middle two; and keep, if it is no
    gate.
    """

    def __init__(self, xp: Namespace, layer: Layer, extent: Extent, packing: Packing, *, recurs: bool) -> None:
        one, self._has_reset = xp.sign, layer.kind is not Kind.LEAKY_NO_RESET
        self._reads_time = layer.kind is not Kind.GRU and extent.has_dt
        middle = [one if layer.kind is Kind.GRU else 1.0 if self._reads_time else -one, 2 * one]
        scales = [one, *middle, 2 * one] if self._has_reset else middle
        super().__init__(xp, layer, extent, packing, recurs=recurs, scales=scales)
        self.direct = self.rows(self.n) if recurs and extent.keeps else None
        self._keep = self.rows(extent.slots, self.n) if self._reads_time else None
        self._gates = slice(0, self.n * (self._has_reset + (not self._reads_time)))

    def _rows_of(self, heads: Values) -> tuple[Values, Values, Values, Values]:
        """Return what is kept of one step; nothing for r and s without a reset."""
        n = self.n
        rows = [heads[k * n : (k + 1) * n] for k in range(len(heads) // n)]
        return (rows[0], rows[1], rows[2], rows[3]) if self._has_reset else (None, rows[0], rows[1], None)

    def activate(self, do: Emit, t: int, heads: Values) -> None:
        """See :class:`Heads`."""
        xp, h = self.xp, self.h[t]
        reset, gate, new, from_state = self._rows_of(heads)
        keep = gate if self._keep is None else self._keep[t if self.extent.keeps else 0]
        if self._reads_time:
            self._decay(do, t, gate, keep)
        if self._gates.stop:
            xp.logistic(do, heads[self._gates])
        if self._has_reset:
            let_through = self.spare("let through", self.n)
            do(xp.multiply, reset, from_state, let_through)
            do(xp.add, new, let_through, new)
        xp.logistic(do, new)
        self.doubled(do, new)
        if self.recurs:
            do(xp.subtract, self.old[t], new, h)
            do(xp.multiply, h, keep, h)
            do(xp.add, h, new, h)
        else:  # the old state is zero
            do(xp.multiply, keep, new, h)
            do(xp.subtract, new, h, h)

    def _decay(self, do: Emit, t: int, rate: Values, keep: Values) -> None:
        """Replace the rate by its softplus, which is ``log(1 + exp(-|rate|)) + max(rate, 0)``, and let dt pass."""
        xp, size = self.xp, self.spare("size", self.n)
        do(xp.absolute, rate, size)
        do(xp.add, rate, size, rate)
        do(xp.multiply, rate, xp.half, rate)
        do(xp.subtract, xp.zero, size, size)
        do(xp.exp, size, size)
        do(xp.add, size, xp.one, size)
        do(xp.log, size, size)
        do(xp.add, rate, size, rate)
        assert self.elapsed is not None
        do(xp.multiply, rate, self.elapsed[t], size)
        do(xp.subtract, xp.zero, size, size)
        do(xp.exp, size, keep)

    def backward(self, do: Emit, t: int) -> None:
        """See :class:`Part`."""
        xp, n, kept, dh = self.xp, self.n, self.heads[t], self.dh[t]
        reset, gate, new, from_state = self._rows_of(kept)
        keep = gate if self._keep is None else self._keep[t]
        slope, by_new, by_reset = self.spare("slope", 2 * n), self.spare("by new", n), self.spare("by reset", n)
        slope = slope if self._has_reset else slope[n:]
        of_reset, of_keep = slope[:n], slope[-n:]
        if self.direct is not None:
            do(xp.multiply, dh, keep, self.direct)
        if self._gates.stop:
            self.logistic_slope(do, kept[self._gates], slope[self._gates])
        if self._reads_time:
            self._decay_slope(do, t, gate, keep, of_keep)
        self.tanh_slope(do, new, by_new)
        do(xp.subtract, xp.one, keep, by_reset)
        do(xp.multiply, by_new, by_reset, by_new)
        do(xp.subtract, self.old[t] if self.recurs else xp.zero, new, gate)
        do(xp.multiply, gate, of_keep, gate)
        do(xp.copy, by_new, new)
        if self._has_reset:
            do(xp.multiply, from_state, of_reset, by_reset)
            do(xp.multiply, new, reset, from_state)
            do(xp.multiply, by_reset, new, reset)
        # The heads are their derivatives by h now.
        self.times(do, t, dh)

    def _decay_slope(self, do: Emit, t: int, softplus: Values, keep: Values, out: Values) -> None:
        """Write ``-dt * keep * logistic(rate)``, the derivative of keep, where that is ``1 - exp(-softplus(rate))``."""
        xp = self.xp
        do(xp.subtract, xp.zero, softplus, out)
        do(xp.exp, out, out)
        do(xp.subtract, out, xp.one, out)
        do(xp.multiply, out, keep, out)
        assert self.elapsed is not None
        do(xp.multiply, out, self.elapsed[t], out)


@computes(Kind.TANH, Kind.RELU)
class Dense(Heads):
    """``h = tanh(z)`` or ``h = max(z, 0)``."""

    def __init__(self, xp: Namespace, layer: Layer, extent: Extent, packing: Packing, *, recurs: bool) -> None:
        self._is_tanh = layer.kind is Kind.TANH
        super().__init__(xp, layer, extent, packing, recurs=recurs, scales=[2 * xp.sign if self._is_tanh else 1.0])
        self._is_open = None if self._is_tanh else xp.truths(self.n, extent.n_seeds, extent.n_batch)

    def activate(self, do: Emit, t: int, heads: Values) -> None:
        """See :class:`Heads`."""
        if self._is_tanh:
            self.xp.logistic(do, heads)
            self.doubled(do, heads, self.h[t])
        else:
            self.xp.rectify(do, heads, self.h[t])

    def backward(self, do: Emit, t: int) -> None:
        """See :class:`Part`."""
        xp, heads, dh = self.xp, self.heads[t], self.dh[t]
        if self._is_tanh:
            self.tanh_slope(do, self.h[t], heads)
            do(xp.multiply, heads, dh, heads)
        else:
            do(xp.greater, self.h[t], xp.zero, self._is_open)
            do(xp.multiply, dh, self._is_open, heads)
