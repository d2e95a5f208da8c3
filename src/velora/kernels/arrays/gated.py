"""Gated cells: GRU, with or without decay, and leaky cell."""

from __future__ import annotations

import numpy as np

from velora.kernels.arrays.layer import Extent, Heads, by_seed, computes
from velora.kernels.arrays.namespace import Emit, Namespace, Values
from velora.kernels.arrays.packing import Packing
from velora.kernels.layers import Kind
from velora.kernels.plan import Layer


@computes(Kind.GRU, Kind.LEAKY, Kind.LEAKY_NO_RESET)
class Gated(Heads):
    """``h = (1 - keep) * new + keep * old``: GRU and leaky cell, with ``new = tanh(x + r * s)`` or ``tanh(x)``.

    By the heads, per dh: ``dx = (1 - keep) (1 - new**2)``, ``ds = dx r``, ``dr = dx s r (1 - r)`` and
    ``dgate = (old - new) dkeep/dgate``, where that is ``keep (1 - keep)`` of a gate and ``-dt keep logistic(rate)`` of
    a rate; ``keep`` alone reaches the old state past the heads.

    A GRU's keep is its gate. A leaky cell's is ``exp(-dt * softplus(rate))``, without dt a gate too, logistic(-rate).
    Kept are r, the gate or else softplus(rate), new, and s; without a reset only the middle two; and keep, if it is no
    gate.
    """

    def __init__(self, xp: Namespace, layer: Layer, extent: Extent, packing: Packing, *, recurs: bool) -> None:
        one, self._has_reset = xp.sign, layer.kind is not Kind.LEAKY_NO_RESET
        has_gate = layer.kind in (Kind.GRU, Kind.GRU_D)
        self._reads_time = not has_gate and extent.has_dt
        middle = [one if has_gate else 1.0 if self._reads_time else -one, 2 * one]
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


@computes(Kind.GRU_D)
class Decayed(Gated):
    """A GRU of x and ``keep * old`` with ``keep = exp(-max(0, w dt + c))``, for a weight w and a bias c of each neuron.

    With dh of what the GRU reads, ``dold = dh keep``; and where ``w dt + c > 0``, else nothing, ``dc = -dh keep old``
    and ``dw = dc dt``. Packed are -w and -c, so that no operation turns a sign. Kept are old and keep, besides a GRU's.
    """

    def __init__(self, xp: Namespace, layer: Layer, extent: Extent, packing: Packing, *, recurs: bool) -> None:
        super().__init__(xp, layer, extent, packing, recurs=recurs)
        neurons = np.arange(self.n)[:, None]
        self._weight_of_time, self._bias = (
            packing.add(layer.begin(name) + neurons, -1.0, has_values=recurs) for name in ("decay_weight", "decay_bias")
        )
        steps = extent.n_time if recurs else 0
        self._before, self._keeps = self.rows(steps, self.n), self.rows(steps, self.n)
        self._decays = xp.truths(steps, self.n, extent.n_seeds, extent.n_batch)

    def prepare(self, do: Emit) -> None:
        """See :class:`Part`. The decay needs no state, so that it is made for all steps at once."""
        super().prepare(do)
        xp, keep = self.xp, self._keeps
        if not self.recurs:
            return
        weight, bias = by_seed(self._weight_of_time.values), by_seed(self._bias.values)
        if self.elapsed is None:
            do(xp.copy, weight, keep)
        else:
            do(xp.multiply, self.elapsed, weight, keep)
        do(xp.add, keep, bias, keep)
        do(xp.greater, xp.zero, keep, self._decays)
        do(xp.minimum, keep, xp.zero, keep)
        do(xp.exp, keep, keep)

    def forward(self, do: Emit, t: int) -> None:
        """See :class:`Part`."""
        if self.recurs:
            do(self.xp.copy, self.old[t], self._before[t])
            do(self.xp.multiply, self.old[t], self._keeps[t], self.old[t])
        super().forward(do, t)

    def old_gradient(self, do: Emit, t: int, d_old: Values) -> None:
        """See :class:`Part`."""
        super().old_gradient(do, t, d_old)
        do(self.xp.multiply, d_old, self._keeps[t], d_old)
        do(self.xp.multiply, self._before[t], d_old, self._before[t])

    def finish(self, do: Emit) -> None:
        """See :class:`Part`."""
        super().finish(do)
        if not self.recurs:
            return
        xp, e, d = self.xp, self.extent, self._before
        do(xp.multiply, d, self._decays, d)
        sums = xp.empty(e.n_time, self.n, e.n_seeds)
        do(xp.sum_last, d, sums)
        do(xp.sum_first, sums.swapaxes(1, 2), self._bias.gradient[:, :, 0])
        if self.elapsed is not None:
            do(xp.multiply, d, self.elapsed, d)
            do(xp.sum_last, d, sums)
        do(xp.sum_first, sums.swapaxes(1, 2), self._weight_of_time.gradient[:, :, 0])
