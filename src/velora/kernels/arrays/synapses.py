"""The synapses of an LTC: only those that exist are computed, as products with two sparse matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.kernels.arrays.namespace import Emit, Namespace, Values
from velora.kernels.arrays.packing import Index, Packing


class Synapses:
    """The synapses from some sources to all neurons, as a list that is as long for every seed.

    A synapse e opens by ``logistic(slope * source + offset)``, and then pulls its neuron by strength * erev and
    conducts strength. Sources go through ``reads`` to the synapses, and openings through ``acts`` to the neurons'
    currents.

    Shapes:
        values: (S, 4, E): sigma, mu, w and erev.
        reads: (S, E, 1 + sources), the offset where the sources' 1 is. acts: (S, 2 n, E), pull and conductance.

    Args:
        at: where sigma, mu, w and erev begin in the parameters of one seed.
        one_at: where the 1 is among the rows of the sources, 0 or last.
        extra: columns after the synapses' in ``acts``.
    """

    def __init__(
        self, xp: Namespace, packing: Packing, at: tuple[int, ...], n_from: int, n: int, *, one_at: int, extra: int = 0
    ) -> None:
        entries = np.arange(n_from * n)
        lists = [np.flatnonzero(row) for row in packing.exists(at[2] + entries)]
        n_seeds, self.size = len(lists), max(1, *(len(row) for row in lists))
        chosen: Index = np.full((n_seeds, self.size), -1)
        for k, row in enumerate(lists):
            chosen[k, : len(row)] = row
        exists = chosen >= 0
        index = np.where(exists[:, None], np.array(at)[:, None] + chosen[:, None], -1)
        self.block = packing.add_by_seed(index)
        self.chosen, self.exists = chosen, xp.constant(exists.astype(float))
        self.source: Index = np.maximum(chosen, 0) // n
        self.from_source = xp.constant(_one_hot(self.source, n_from, exists))
        self.to_neuron = xp.constant(_one_hot(np.maximum(chosen, 0) % n, n, exists).swapaxes(1, 2))
        self.xp, self._n = xp, n
        self.reads, self.acts = xp.zeros(n_seeds, self.size, n_from + 1), xp.zeros(n_seeds, 2 * n, self.size + extra)
        self._one_at, self._sources = one_at, slice(0, n_from) if one_at else slice(1, None)
        self.slope, self.offset, self.strength = (xp.zeros(n_seeds, self.size) for _ in range(3))
        self._spare = xp.zeros(n_seeds, self.size)
        self.d_reads, self.d_acts = (
            xp.zeros(n_seeds, self.size, n_from + 1),
            xp.zeros(n_seeds, 2 * n, self.size + extra),
        )

    def source_reads(self) -> Values:
        """Return ``reads`` without the offsets, (S, E, sources)."""
        return self.reads[:, :, self._sources]

    def prepare(self, do: Emit) -> None:
        """Form the matrices from ``slope`` and ``offset``, which are overwritten, and from w and erev."""
        xp, n, strength = self.xp, self._n, self.strength
        w, erev = self.block.values[:, 2], self.block.values[:, 3]
        do(xp.multiply, self.slope, xp.number(xp.sign), self.slope)
        do(xp.multiply, self.offset, xp.number(xp.sign), self.reads[:, :, self._one_at])
        do(xp.multiply, self.from_source, self.slope[:, :, None], self.source_reads())
        do(xp.softplus, w, xp.zero, strength)
        do(xp.multiply, strength, self.exists, strength)
        do(xp.multiply, self.to_neuron, strength[:, None], self.acts[:, n:, : self.size])
        do(xp.multiply, strength, erev, self._spare)
        do(xp.multiply, self.to_neuron, self._spare[:, None], self.acts[:, :n, : self.size])

    def finish(self, do: Emit) -> None:
        """Turn the gradients of the matrices into those of slope and offset, of w and of erev."""
        xp, n, values, gradient = self.xp, self._n, self.block.values, self.block.gradient
        by_source, to_neuron = self.d_reads[:, :, self._sources], self.d_acts[:, :, : self.size].swapaxes(1, 2)
        do(xp.multiply, self.d_reads[:, :, self._one_at], xp.number(xp.sign), self.offset)
        do(xp.multiply, by_source, self.from_source, by_source)
        do(xp.sum_last, by_source, self.slope)
        do(xp.multiply, self.slope, xp.number(xp.sign), self.slope)
        choose = self.to_neuron.swapaxes(1, 2)
        pull, conduct = to_neuron[:, :, :n], to_neuron[:, :, n:]
        do(xp.multiply, pull, choose, pull)
        do(xp.multiply, conduct, choose, conduct)
        do(xp.sum_last, pull, self._spare)
        do(xp.sum_last, conduct, gradient[:, 2])
        do(xp.multiply, self._spare, self.strength, gradient[:, 3])
        do(xp.multiply, self._spare, values[:, 3], self._spare)
        do(xp.add, gradient[:, 2], self._spare, gradient[:, 2])
        do(xp.multiply, values[:, 2], xp.number(xp.sign), self._spare)
        xp.logistic(do, self._spare)
        do(xp.multiply, gradient[:, 2], self._spare, gradient[:, 2])


def _one_hot(places: Index, size: int, exists: NDArray[Any]) -> NDArray[Any]:
    return np.where(exists[:, :, None], places[:, :, None] == np.arange(size), False).astype(float)
