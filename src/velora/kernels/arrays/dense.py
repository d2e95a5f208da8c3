"""Dense layers."""

from __future__ import annotations

from velora.kernels.arrays.layer import Extent, Heads, computes
from velora.kernels.arrays.namespace import Emit, Namespace, Values
from velora.kernels.arrays.packing import Packing
from velora.kernels.layers import Kind
from velora.kernels.plan import Layer


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
            h, slope = self.h[t], self.spare("slope", self.n)
            do(xp.greater, h, xp.zero, self._is_open)
            do(xp.copy, self._is_open, slope)
            do(xp.subtract, h, h, heads)  # 0, but NaN where h is: it spreads
            do(xp.subtract, slope, heads, slope)
            do(xp.multiply, dh, slope, heads)
