"""The LSTM before a liquid cell: what it reveals is the old state that the layers after it read."""

from __future__ import annotations

from velora.ops.arrays.namespace import Emit, Namespace, Values
from velora.ops.arrays.packing import Packing
from velora.ops.arrays.part import Extent, Heads
from velora.ops.plan import Layer


class LSTM(Heads):
    """``c = candidate * accept + old * keep; revealed = tanh(c) * reveal``.

    Kept are candidate, accept, keep and reveal (the heads), the old memory, and tanh of the new one.

    Shapes:
        memory, before: (T, S, n, B), after each step and before it.
        reveals, d_reveals: for each layer after it, which neurons of this one it gets, and (T, S, their number, B).
        d_memory: (S, n, B), the gradient of the memory before the step gone back last.
    """

    reveals: list[tuple[slice, Values]]
    d_reveals: list[list[tuple[slice, Values]]]

    def __init__(self, xp: Namespace, layer: Layer, extent: Extent, packing: Packing, *, recurs: bool) -> None:
        one = xp.sign
        super().__init__(xp, layer, extent, packing, recurs=recurs, scales=[2 * one, one, one, one])
        shape = extent.n_seeds, self.n, extent.n_batch
        self.memory, self.before = xp.zeros(extent.n_time, *shape), xp.zeros(extent.n_time, *shape)
        self._squashed = xp.empty(extent.n_time, *shape)
        self.d_memory, self._d_revealed = xp.empty(*shape), xp.empty(*shape)

    def activate(self, do: Emit, t: int, heads: Values) -> None:
        """See :class:`Heads`."""
        xp, n = self.xp, self.n
        candidate, accept, keep, reveal = (heads[:, k * n : (k + 1) * n] for k in range(4))
        memory, squashed = self.memory[t], self._squashed[t]
        xp.logistic(do, heads)
        self.doubled(do, candidate)
        do(xp.multiply, candidate, accept, memory)
        do(xp.multiply, self.before[t], keep, squashed)
        do(xp.add, memory, squashed, memory)
        do(xp.multiply, memory, xp.number(2 * xp.sign), squashed)
        xp.logistic(do, squashed)
        self.doubled(do, squashed)
        for neurons, rows in self.reveals:
            do(xp.multiply, squashed[:, neurons], reveal[:, neurons], rows[t])

    def prepare_backward(self, do: Emit, begin: int, end: int) -> None:
        """See :class:`Part`. The heads become their derivatives: the first three by the memory, the last by what is
        revealed; tanh of the memory becomes what the memory is worth to that; the old memory becomes ``keep``.
        """
        xp, n, e = self.xp, self.n, self.extent
        kept, before, squashed = self.heads[begin:end], self.before[begin:end], self._squashed[begin:end]
        candidate, accept, keep, reveal = (kept[:, :, k * n : (k + 1) * n] for k in range(4))
        slope = self.spare("slope", end - begin, e.n_seeds, 4 * n, e.n_batch)
        self.tanh_slope(do, candidate, slope[:, :, :n])
        self.logistic_slope(do, kept[:, :, n:], slope[:, :, n:])
        do(xp.multiply, slope[:, :, :n], accept, slope[:, :, :n])
        do(xp.multiply, slope[:, :, n : 2 * n], candidate, accept)
        do(xp.copy, slope[:, :, :n], candidate)
        do(xp.multiply, slope[:, :, 2 * n : 3 * n], before, slope[:, :, 2 * n : 3 * n])
        do(xp.copy, keep, before)
        do(xp.copy, slope[:, :, 2 * n : 3 * n], keep)
        do(xp.multiply, slope[:, :, 3 * n :], squashed, slope[:, :, 3 * n :])
        do(xp.multiply, squashed, squashed, squashed)
        do(xp.subtract, xp.one, squashed, squashed)
        do(xp.multiply, squashed, reveal, squashed)
        do(xp.copy, slope[:, :, 3 * n :], reveal)

    def backward(self, do: Emit, t: int) -> None:
        """See :class:`Part`. ``dh[t]`` is the gradient of the memory, and ``d_reveals[t]`` that of what is revealed."""
        xp, e, n, heads = self.xp, self.extent, self.n, self.heads[t]
        for neurons, rows in self.d_reveals[t]:
            do(xp.copy, rows, self._d_revealed[:, neurons])
        through = self.spare("through", e.n_seeds, n, e.n_batch)
        do(xp.multiply, self._d_revealed, self._squashed[t], through)
        do(xp.add, self.dh[t], through, self.dh[t])
        by_head = heads[:, : 3 * n].reshape(e.n_seeds, 3, n, e.n_batch)
        do(xp.multiply, by_head, self.dh[t][:, None], by_head)
        do(xp.multiply, heads[:, 3 * n :], self._d_revealed, heads[:, 3 * n :])
        do(xp.multiply, self.dh[t], self.before[t], self.d_memory)
