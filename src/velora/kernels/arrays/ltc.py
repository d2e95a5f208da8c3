"""The liquid time-constant layer."""

from __future__ import annotations

import numpy as np

from velora.kernels.arrays.layer import Extent, Part, by_seed, computes, sum_of_products
from velora.kernels.arrays.namespace import Emit, Namespace, Values
from velora.kernels.arrays.packing import Packing
from velora.kernels.arrays.synapses import Synapses
from velora.kernels.layers import Kind
from velora.kernels.plan import Layer

_LEAST_CAPACITY = 1e-8
_SYNAPSE = ("sigma", "mu", "w", "erev")


@computes(Kind.LTC)
class LTC(Part):
    """Integrate over dt in ``unfolds`` semi-implicit Euler steps; see ``velora.nn.cells.LTCCell``.

    A sub-step is ``v = (capacity * v + pull) / (capacity + conductance)``, where pull and conductance are the currents
    of the synapses and the leak, times the length of the sub-step.

    Kept are, for every sub-step, the potentials before it with a 1 on top, the openings and the denominators; the first
    two become factors of the gradients, the last the gradients of the currents.
    """

    def __init__(self, xp: Namespace, layer: Layer, extent: Extent, packing: Packing, *, recurs: bool) -> None:
        super().__init__(xp, layer, extent, recurs=recurs)
        n, n_in = self.n, self.n_in
        inner, outer = (tuple(layer.begin(p + name) for name in _SYNAPSE) for p in ("", "sensory_"))
        input_w, input_b = layer.begin("input_w"), layer.begin("input_b")
        self._inner = Synapses(xp, packing, inner, n, n, one_at=0)
        self._senses = senses = Synapses(xp, packing, outer, n_in, n, one_at=n_in, extra=1)
        self._input = packing.add_by_seed(
            np.stack([input_w + senses.source, input_b + senses.source], 1), has_gradient=False
        )
        inputs = np.array([[input_w], [input_b]]) + np.arange(n_in)
        self._d_input = packing.add(inputs, has_values=False)
        self._neurons = packing.add(
            np.array([layer.begin(name) for name in ("gleak", "vleak", "cm")])[:, None] + np.arange(n)
        )
        T, K, slots, E = extent.n_time, layer.unfolds, extent.slots, self._inner.size
        self._v, self._opening = self.rows(slots, K, 1 + n), self.rows(slots, K, E)
        self._currents, self._sense = self.rows(slots, K, 2 * n), self.rows(slots, senses.size + 1)
        self._fixed, self._capacity, self._elapsed = self.rows(2 * n), self.rows(n), self.rows(T, 2 * n)
        self._soft = xp.empty(extent.n_seeds, 3, n)
        xp.fill(0.0, self._v)
        for ones in (self._v[:, :, 0], self._sense[:, -1]):
            xp.fill(1.0, ones)
        if extent.keeps:
            self._d_opening, self._d_sense = self.rows(T, K, E), self.rows(T, senses.size)
            self._d_fixed, self._d_capacity, self._dv = self.rows(T, 2 * n), self.rows(n), self.rows(n)

    def prepare(self, do: Emit) -> None:
        """See :class:`Part`."""
        xp, n, inner, senses = self.xp, self.n, self._inner, self._senses
        sigma, mu = inner.block.values[:, 0], inner.block.values[:, 1]
        do(xp.copy, sigma, inner.slope)
        do(xp.multiply, sigma, mu, inner.offset)
        do(xp.subtract, xp.zero, inner.offset, inner.offset)
        inner.prepare(do)
        sigma, mu = senses.block.values[:, 0], senses.block.values[:, 1]
        do(xp.multiply, sigma, self._input.values[:, 0], senses.slope)
        do(xp.subtract, self._input.values[:, 1], mu, senses.offset)
        do(xp.multiply, senses.offset, sigma, senses.offset)
        senses.prepare(do)
        gleak, vleak, cm = (self._neurons.values[:, k] for k in range(3))
        leak, capacity = self._soft[:, 0], self._soft[:, 2]
        do(xp.softplus, gleak, xp.zero, leak)
        do(xp.multiply, leak, vleak, senses.acts[:, :n, -1])
        do(xp.copy, leak, senses.acts[:, n:, -1])
        do(xp.softplus, cm, xp.zero, capacity)
        do(xp.add, capacity, xp.number(_LEAST_CAPACITY), capacity)
        do(xp.copy, by_seed(capacity[:, :, None]), self._capacity)
        part = xp.number(1.0 / self.layer.unfolds)
        do(xp.copy, xp.one if self.elapsed is None else self.elapsed[:, :1], self._elapsed)
        do(xp.multiply, self._elapsed, part, self._elapsed)

    def forward(self, do: Emit, t: int) -> None:
        """See :class:`Part`."""
        xp, n, at = self.xp, self.n, t if self.extent.keeps else 0
        elapsed, fixed, sense, row = self._elapsed[t], self._fixed, self._sense[at], self.spare("row", self.n)
        do(xp.matmul, self._senses.reads, by_seed(self.z[t][: self.n_in + 1]), by_seed(sense[:-1]))
        xp.logistic(do, sense[:-1])
        do(xp.matmul, self._senses.acts, by_seed(sense), by_seed(fixed))
        do(xp.multiply, fixed, elapsed, fixed)
        do(xp.add, fixed[n:], self._capacity, fixed[n:])
        if self.recurs:
            do(xp.copy, self.old[t], self._v[at, 0][1:])
        for k in range(self.layer.unfolds):
            v, opening, currents = self._v[at, k], self._opening[at, k], self._currents[at, k]
            do(xp.matmul, self._inner.reads, by_seed(v), by_seed(opening))
            xp.logistic(do, opening)
            do(xp.matmul, self._inner.acts, by_seed(opening), by_seed(currents))
            do(xp.multiply, currents, elapsed, currents)
            do(xp.add, currents, fixed, currents)
            do(xp.multiply, self._capacity, v[1:], row)
            do(xp.add, row, currents[:n], row)
            do(xp.divide, row, currents[n:], self._after(t, k))

    def _after(self, t: int, k: int) -> Values:
        """Return where the potentials after sub-step k are."""
        at = t if self.extent.keeps else 0
        return self._v[at, k + 1][1:] if k + 1 < self.layer.unfolds else self.h[t]

    def backward(self, do: Emit, t: int) -> None:
        """See :class:`Part`. Through v' = above / below: d_above = dv' / below, d_below = -d_above v'.

        Then dv = C d_above and what comes through the synapses, dC = d_above v + d_below; the currents' gradients are
        these times the length of the sub-step.
        """
        xp, n, dv, d_fixed, elapsed = self.xp, self.n, self._dv, self._d_fixed[t], self._elapsed[t]
        back, row = self._inner.source_reads().swapaxes(1, 2), self.spare("row", n)
        if t == self.extent.n_time - 1:
            do(xp.fill, 0.0, self._d_capacity)
        do(xp.copy, self.dh[t], dv)
        do(xp.fill, 0.0, d_fixed)
        for k in reversed(range(self.layer.unfolds)):
            currents, opening, d_opening = self._currents[t, k], self._opening[t, k], self._d_opening[t, k]
            above, below = currents[:n], currents[n:]
            do(xp.divide, dv, below, above)
            do(xp.multiply, above, self._after(t, k), below)
            do(xp.subtract, xp.zero, below, below)
            do(xp.add, d_fixed, currents, d_fixed)
            do(xp.multiply, above, self._v[t, k][1:], row)
            do(xp.add, row, below, row)
            do(xp.add, self._d_capacity, row, self._d_capacity)
            do(xp.multiply, self._capacity, above, dv)
            do(xp.multiply, currents, elapsed, currents)
            self._through(do, self._inner.acts, currents, opening, d_opening)
            do(xp.matmul, back, by_seed(d_opening), by_seed(row))
            do(xp.add, dv, row, dv)
        do(xp.multiply, d_fixed, elapsed, d_fixed)
        senses = self._senses.acts[:, :, :-1]
        self._through(do, senses, d_fixed, self._sense[t][:-1], self._d_sense[t])

    def _through(self, do: Emit, acts: Values, d_currents: Values, opening: Values, out: Values) -> None:
        """Carry gradients of currents back to what the synapses read, through ``acts`` and the openings' slopes."""
        slope = self.spare("slope", len(opening))
        do(self.xp.matmul, acts.swapaxes(1, 2), by_seed(d_currents), by_seed(out))
        self.logistic_slope(do, opening, slope)
        do(self.xp.multiply, out, slope, out)

    def read_gradient(self, do: Emit, t: int, begin: int, end: int, out: Values) -> None:
        """See :class:`Part`."""
        xp, n_in = self.xp, self.n_in
        if begin < n_in:
            back = self._senses.source_reads()[:, :, begin : min(end, n_in)].swapaxes(1, 2)
            do(xp.matmul, back, by_seed(self._d_sense[t]), by_seed(out[: min(end, n_in) - begin]))
        if end > n_in + 1:
            do(xp.copy, self._dv, out[n_in + 1 - begin :])

    def finish(self, do: Emit) -> None:
        """See :class:`Part`."""
        xp, inner, senses = self.xp, self._inner, self._senses
        steps = [a.reshape(-1, *a.shape[2:]) for a in (self._v, self._opening, self._currents, self._d_opening)]
        v, opening, currents, d_opening = steps
        sum_of_products(xp, do, d_opening, v, inner.d_reads)
        sum_of_products(xp, do, currents, opening, inner.d_acts)
        sum_of_products(xp, do, self._d_sense, self.z[:, : self.n_in + 1], senses.d_reads)
        sum_of_products(xp, do, self._d_fixed, self._sense, senses.d_acts)
        self._finish_neurons(do)
        inner.finish(do)
        senses.finish(do)
        spare = xp.empty(*inner.slope.shape)
        sigma, mu = inner.block.values[:, 0], inner.block.values[:, 1]
        d_sigma, d_mu = inner.block.gradient[:, 0], inner.block.gradient[:, 1]
        do(xp.multiply, inner.offset, mu, spare)
        do(xp.subtract, inner.slope, spare, d_sigma)
        do(xp.multiply, inner.offset, sigma, d_mu)
        do(xp.subtract, xp.zero, d_mu, d_mu)
        self._finish_senses(do)

    def _finish_neurons(self, do: Emit) -> None:
        """Read the gradients of gleak, vleak and cm off those of the leak's column and of the capacity."""
        xp, n, d_acts = self.xp, self.n, self._senses.d_acts
        values, gradient = self._neurons.values, self._neurons.gradient
        logistic = xp.empty(*values.shape)
        do(xp.multiply, values, xp.number(xp.sign), logistic)
        xp.logistic(do, logistic)
        d_pulled, d_leak = d_acts[:, :n, -1], d_acts[:, n:, -1]
        do(xp.multiply, d_pulled, self._soft[:, 0], gradient[:, 1])
        do(xp.multiply, d_pulled, values[:, 1], gradient[:, 0])
        do(xp.add, gradient[:, 0], d_leak, gradient[:, 0])
        do(xp.sum_last, by_seed(self._d_capacity), gradient[:, 2])
        for k in (0, 2):
            do(xp.multiply, gradient[:, k], logistic[:, k], gradient[:, k])

    def _finish_senses(self, do: Emit) -> None:
        """Carry the gradients of slope and offset through the input map: slope = sigma w, offset = sigma (b - mu)."""
        xp, senses, gradient = self.xp, self._senses, self._senses.block.gradient
        sigma, mu = senses.block.values[:, 0], senses.block.values[:, 1]
        w, b = self._input.values[:, 0], self._input.values[:, 1]
        spare = xp.empty(*senses.slope.shape)
        do(xp.subtract, b, mu, spare)
        do(xp.multiply, spare, senses.offset, spare)
        do(xp.multiply, senses.slope, w, gradient[:, 0])
        do(xp.add, gradient[:, 0], spare, gradient[:, 0])
        for d, k in ((senses.slope, 0), (senses.offset, 1)):
            do(xp.multiply, d, sigma, d)
            do(xp.matmul, d[:, None], senses.from_source, self._d_input.gradient[:, k : k + 1])
        do(xp.subtract, xp.zero, senses.offset, gradient[:, 1])
