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
        memory, before: (T, n, S, B), after each step and before it.
        reveals: for each layer after it, which neurons of this one it gets, and (T, their number, S, B).
        d_reveals: the same by step, of the gradients.
        d_memory: (n, S, B), the gradient of the memory before the step gone back last.
    """

    reveals: list[tuple[slice, Values]]
    d_reveals: list[list[tuple[slice, Values]]]

    def __init__(self, xp: Namespace, layer: Layer, extent: Extent, packing: Packing, *, recurs: bool) -> None:
        one = xp.sign
        super().__init__(xp, layer, extent, packing, recurs=recurs, scales=[2 * one, one, one, one])
        self.memory, self.before = self.rows(extent.n_time, self.n), self.rows(extent.n_time, self.n)
        xp.fill(0.0, self.before)
        self._squashed, self.d_memory = self.rows(extent.n_time, self.n), self.rows(self.n)

    def activate(self, do: Emit, t: int, heads: Values) -> None:
        """See :class:`Heads`."""
        xp, n = self.xp, self.n
        candidate, accept, keep, reveal = (heads[k * n : (k + 1) * n] for k in range(4))
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
            do(xp.multiply, squashed[neurons], reveal[neurons], rows[t])

    def backward(self, do: Emit, t: int) -> None:
        """See :class:`Part`. ``dh[t]`` is the gradient of the memory, and ``d_reveals[t]`` that of what is revealed."""
        xp, n, heads, before, squashed, d = (
            self.xp,
            self.n,
            self.heads[t],
            self.before[t],
            self._squashed[t],
            self.dh[t],
        )
        candidate, accept, keep, reveal = (heads[k * n : (k + 1) * n] for k in range(4))
        by_candidate, slope = self.spare("by candidate", n), self.spare("slope", 3 * n)
        revealed, through = self.spare("revealed", n), self.spare("through", n)
        for neurons, rows in self.d_reveals[t]:
            do(xp.copy, rows, revealed[neurons])
        do(xp.multiply, squashed, squashed, through)
        do(xp.subtract, xp.one, through, through)
        do(xp.multiply, through, reveal, through)
        do(xp.multiply, through, revealed, through)
        do(xp.add, d, through, d)
        do(xp.multiply, d, keep, self.d_memory)
        self.tanh_slope(do, candidate, by_candidate)
        self.logistic_slope(do, heads[n:], slope)
        do(xp.multiply, by_candidate, accept, by_candidate)
        do(xp.multiply, slope[:n], candidate, accept)
        do(xp.copy, by_candidate, candidate)
        do(xp.multiply, slope[n : 2 * n], before, keep)
        do(xp.multiply, slope[2 * n :], squashed, reveal)
        # The heads are their derivatives now: the first three by the memory, the last by what is revealed.
        by_head = heads[: 3 * n].reshape(3, *d.shape)
        do(xp.multiply, by_head, d, by_head)
        do(xp.multiply, reveal, revealed, reveal)
