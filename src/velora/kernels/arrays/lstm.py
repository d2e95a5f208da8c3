"""LSTM layers, and the LSTM before a liquid cell: what that reveals is the old state that the layers after it read."""

from __future__ import annotations

from velora.kernels.arrays.layer import Carried, Extent, Heads, computes
from velora.kernels.arrays.namespace import Emit, Namespace, Values
from velora.kernels.arrays.packing import Packing
from velora.kernels.layers import Kind
from velora.kernels.plan import Layer


@computes(Kind.LSTM, Kind.LSTM_LAYER)
class LSTM(Heads):
    """``c = candidate * accept + old * keep; revealed = tanh(c) * reveal``.

    Kept are candidate, accept, keep and reveal (the heads), the old memory, and tanh of the new one.

    Shapes:
        memory, before: (T, n, S, B), after each step and before it.
        d_memories: (T, n, S, B), the gradient of the memory after each step.
        reveals: for each layer after it, which neurons of this one it gets, and (T, their number, S, B).
        d_reveals: the same by step, of the gradients.
        d_memory: (n, S, B), the gradient of the memory before the step gone back last.

    A layer reveals its own new state, and needs no ``reveals``.
    """

    d_memories: Values
    reveals: list[tuple[slice, Values]]
    d_reveals: list[list[tuple[slice, Values]]]

    def __init__(self, xp: Namespace, layer: Layer, extent: Extent, packing: Packing, *, recurs: bool) -> None:
        one = xp.sign
        super().__init__(xp, layer, extent, packing, recurs=recurs, scales=[2 * one, one, one, one])
        self.memory, self.before = self.rows(extent.n_time, self.n), self.rows(extent.n_time, self.n)
        xp.fill(0.0, self.before)
        self._squashed, self.d_memory = self.rows(extent.n_time, self.n), self.rows(self.n)
        self.d_memories = self.rows(extent.n_time, self.n) if extent.keeps else None
        self._is_layer = layer.kind is Kind.LSTM_LAYER
        if self._is_layer:
            self.memories = [Carried(self.memory, self.before, self.d_memories, self.d_memory)]

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
        for neurons, rows in [(slice(None), self.h)] if self._is_layer else self.reveals:
            do(xp.multiply, squashed[neurons], reveal[neurons], rows[t])

    def backward(self, do: Emit, t: int) -> None:
        """See :class:`Part`. The gradient dy of what is revealed is ``d_reveals[t]``, or that of a layer's new state.

        With the memory m and y = o tanh(m): dm += dy o (1 - tanh(m)**2), then dm_old = dm f, dc = dm i (1 - c**2),
        di = dm c i (1 - i), df = dm m_old f (1 - f), do = dy tanh(m) o (1 - o).
        """
        xp, n, heads, before, squashed = self.xp, self.n, self.heads[t], self.before[t], self._squashed[t]
        d = self.d_memories[t]
        candidate, accept, keep, reveal = (heads[k * n : (k + 1) * n] for k in range(4))
        by_candidate, slope = self.spare("by candidate", n), self.spare("slope", 3 * n)
        revealed, through = self.dh[t] if self._is_layer else self.spare("revealed", n), self.spare("through", n)
        for neurons, rows in () if self._is_layer else self.d_reveals[t]:
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
