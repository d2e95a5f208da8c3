"""Base of all layers in memory, and of layers that begin with linear heads of concat(input, 1, old state).

Arrays are (T, features, S, B). So a step is one piece of memory, and in it the heads of one kind are one piece, for all
seeds: what works element by element needs one operation, without gaps. A product sees the same memory by seed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np

from velora.kernels.arrays.namespace import Emit, Namespace, Values
from velora.kernels.arrays.packing import Packing
from velora.kernels.layers import Kind
from velora.kernels.plan import Layer


@dataclass(frozen=True, slots=True)
class Extent:
    """How much one call computes.

    Attributes:
        keeps: whether a backward pass follows; what isn't kept is written over at every step.
    """

    n_seeds: int
    n_batch: int
    n_time: int
    keeps: bool
    has_dt: bool

    @property
    def slots(self) -> int:
        """Steps that are kept."""
        return self.n_time if self.keeps else 1


class Carried(NamedTuple):
    """Memory that a layer carries from step to step besides its new state.

    Shapes:
        after, before, d_after: (T, n, S, B), after each step and before it, and the gradients of those after it.
        d_before: (n, S, B), the gradient of what was before the step gone back last.
    """

    after: Values
    before: Values
    d_after: Values
    d_before: Values


Computing = TypeVar("Computing", bound="type[Part]")
LAYERS: dict[Kind, type[Any]] = {}
"""The class that computes each kind of layer."""


def computes(*kinds: Kind) -> Callable[[Computing], Computing]:
    """Enter a class in the table of those that compute layers of these kinds."""

    def enter(part: Computing) -> Computing:
        LAYERS.update(dict.fromkeys(kinds, part))
        return part

    return enter


class Part(ABC):
    """A layer in memory.

    Shapes:
        z: (T, n_in + 1 + n, S, B), what it reads; without the last n rows where it has no old state.
        h: (T, n, S, B), its new state.
        elapsed: (T, n, S, B), the same for all neurons, or ``None`` for ones.
        dz, dh: the gradients of z and h.
    """

    z: Values
    h: Values
    elapsed: Values | None
    dz: Values
    dh: Values
    direct: Values | None = None
    """(n, S, B): a gradient of the old state that doesn't go through the heads, of the step gone back last."""
    memories: Sequence[Carried] = ()
    """What else it carries, in the order of the state, before the new state."""

    def __init__(self, xp: Namespace, layer: Layer, extent: Extent, *, recurs: bool) -> None:
        self.xp, self.layer, self.extent, self.recurs = xp, layer, extent, recurs
        self._spare: dict[tuple[str, int], Values] = {}
        self.n, self.n_in = layer.n, layer.n_in
        self.n_read = layer.n_in + 1 + (layer.n if recurs else 0)

    @property
    def old(self) -> Values:
        """The old state among the rows that are read, (T, n, S, B)."""
        return self.z[:, self.n_in + 1 :]

    def rows(self, *rows: int) -> Values:
        """Allocate (..., S, B)."""
        return self.xp.empty(*rows, self.extent.n_seeds, self.extent.n_batch)

    def spare(self, purpose: str, n_rows: int) -> Values:
        """Find rows for results that are soon forgotten; one purpose always gets the same."""
        if (purpose, n_rows) not in self._spare:
            self._spare[purpose, n_rows] = self.rows(n_rows)
        return self._spare[purpose, n_rows]

    def logistic_slope(self, do: Emit, y: Values, out: Values) -> None:
        """Write ``sign * y * (1 - y)``, the derivative of the logistic function y."""
        do(self.xp.multiply, y, y, out)
        do(self.xp.subtract, *((out, y) if self.xp.sign < 0 else (y, out)), out)

    @abstractmethod
    def prepare(self, do: Emit) -> None:
        """Form what depends on the parameters alone, once for all steps."""

    @abstractmethod
    def forward(self, do: Emit, t: int) -> None:
        """Make step t: h[t] from z[t]."""

    @abstractmethod
    def backward(self, do: Emit, t: int) -> None:
        """Go back through step t, from dh[t] to the gradients of the heads."""

    @abstractmethod
    def read_gradient(self, do: Emit, t: int, begin: int, end: int, out: Values) -> None:
        """Write the gradient of the rows begin to end of z[t], after :meth:`backward`."""

    def old_gradient(self, do: Emit, t: int, d_old: Values) -> None:
        """Turn the gradient (n, S, B) that came through the heads into that of the old state."""
        if self.direct is not None:
            do(self.xp.add, d_old, self.direct, d_old)

    @abstractmethod
    def finish(self, do: Emit) -> None:
        """Write the gradients of the parameters, after all steps."""


class Heads(Part):
    """Compute linear heads, which what follows works on in place, until they are their own gradients.

    Args:
        scales: what the weights of each head are multiplied by.
        sums_last_two: the last two heads are only needed as their sum.
    """

    def __init__(
        self,
        xp: Namespace,
        layer: Layer,
        extent: Extent,
        packing: Packing,
        *,
        recurs: bool,
        scales: list[float],
        sums_last_two: bool = False,
    ) -> None:
        super().__init__(xp, layer, extent, recurs=recurs)
        rows = len(scales) * self.n
        width = self.n_in + (self.n if layer.kind.has_state else 0)
        weight = layer.at[0] + width * np.arange(rows)[:, None] + np.arange(width)
        bias = layer.at[1] + np.arange(rows)[:, None]
        index = np.concatenate([weight[:, : self.n_in], bias, *([weight[:, self.n_in :]] if recurs else [])], 1)
        factors = np.repeat(scales, self.n)[:, None]
        self._rows = rows - self.n if sums_last_two else rows
        self._weight = packing.add(index[: self._rows], factors[: self._rows])
        self._summand = None
        if sums_last_two:
            self._summand = packing.add(index[self._rows :], factors[self._rows :], has_gradient=False)
            packing.share_gradient(self._weight, np.concatenate([index[: self._rows - self.n], index[self._rows :]]))
        if layer.kind.has_state and not recurs:  # nothing reads these, and their gradient is zero
            packing.add(weight[:, self.n_in :], has_values=False)
        self._memory = self.rows(extent.slots, rows)
        self.heads = self._memory[:, : self._rows]

    def prepare(self, do: Emit) -> None:
        """See :class:`Part`."""
        if self._summand is not None:
            last = self._weight.values[:, self._rows - self.n :]
            do(self.xp.add, last, self._summand.values, last)

    def kept(self, t: int) -> Values:
        """Return the heads of step t, (rows, S, B)."""
        return self.heads[t if self.extent.keeps else 0]

    def forward(self, do: Emit, t: int) -> None:
        """See :class:`Part`."""
        do(self.xp.matmul, self._weight.values, by_seed(self.z[t]), by_seed(self.kept(t)))
        self.activate(do, t, self._memory[t if self.extent.keeps else 0])

    @abstractmethod
    def activate(self, do: Emit, t: int, heads: Values) -> None:
        """Compute the new state from the heads."""

    def read_gradient(self, do: Emit, t: int, begin: int, end: int, out: Values) -> None:
        """See :class:`Part`."""
        back = self._weight.values[:, :, begin:end].swapaxes(1, 2)
        do(self.xp.matmul, back, by_seed(self.kept(t)), by_seed(out))

    def finish(self, do: Emit) -> None:
        """See :class:`Part`."""
        sum_of_products(self.xp, do, self.heads, self.z, self._weight.gradient)

    def times(self, do: Emit, t: int, dh: Values) -> None:
        """Multiply each of the heads of step t by a gradient (n, S, B)."""
        by_head = self.heads[t].reshape(-1, *dh.shape)
        do(self.xp.multiply, by_head, dh, by_head)

    def tanh_slope(self, do: Emit, y: Values, out: Values) -> None:
        """Write ``(1 - y * y) * sign / 2``, the derivative of ``2 * logistic - 1``, which is y."""
        xp = self.xp
        do(xp.multiply, y, y, out)
        do(xp.subtract, xp.one, out, out)
        do(xp.multiply, out, xp.number(xp.sign / 2), out)

    def doubled(self, do: Emit, y: Values, out: Values | None = None) -> None:
        """Turn ``logistic(2 z)`` into ``tanh(z)``, in place unless told where."""
        out = y if out is None else out
        do(self.xp.multiply, y, self.xp.two, out)
        do(self.xp.subtract, out, self.xp.one, out)


def by_seed(rows: Values) -> Values:
    """See (..., features, S, B) as matrices, (..., S, features, B)."""
    return rows.swapaxes(-3, -2)


def sum_of_products(xp: Namespace, do: Emit, d: Values, z: Values, out: Values) -> None:
    """Write the sum over time and batch of ``d[r] * z[c]`` to out[r, c].

    Shapes:
        d: (T, R, S, B). z: (T, C, S, B). out: (S, R, C).
    """
    (n_time, rows, n_seeds, n_batch), columns = d.shape, z.shape[1]
    if n_time == 1:
        do(xp.matmul, by_seed(d[0]), by_seed(z[0]).swapaxes(1, 2), out)
    elif n_batch * (rows + columns) > rows * columns:
        products = xp.empty(n_time, n_seeds, rows, columns)
        do(xp.matmul, by_seed(d), by_seed(z).swapaxes(2, 3), products)
        do(xp.sum_first, products, out)
    else:  # few samples: one product of them all
        joined = [xp.empty(n_seeds, a.shape[1], n_time, n_batch) for a in (d, z)]
        for a, both in zip((d, z), joined, strict=True):
            do(xp.copy, a.swapaxes(0, 2), both)
        first, second = (a.reshape(n_seeds, -1, n_time * n_batch) for a in joined)
        do(xp.matmul, first, second.swapaxes(1, 2), out)
