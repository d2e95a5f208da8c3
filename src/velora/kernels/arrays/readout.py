"""Readout of the layers' states: some neurons, those scaled and shifted, or a linear map of many."""

from __future__ import annotations

import numpy as np

from velora.kernels.arrays.layer import Extent, by_seed, sum_of_products
from velora.kernels.arrays.namespace import Emit, Namespace, Values
from velora.kernels.arrays.packing import Packing
from velora.kernels.plan import Readout, ReadoutKind


class Reader:
    """A readout in memory.

    Args:
        rows: where in the rows of the network the neurons lie that are read, in order of the state, and last the row
            of ones after them.

    Shapes:
        z, dz: (T, R, S, B), the rows of the network and their gradients.
        out, d_out: (T, K, S, B). ``d_out`` is overwritten by :meth:`backward`.
    """

    out: Values

    def __init__(self, xp: Namespace, readout: Readout, extent: Extent, packing: Packing, rows: list[int]) -> None:
        self.xp, self.readout, self._rows = xp, readout, slice(rows[0], rows[-1] + 1)
        shape = extent.n_time, readout.n_out, extent.n_seeds, extent.n_batch
        self._is_copy = readout.squash or readout.kind is not ReadoutKind.SLICE
        self._own = xp.empty(*shape) if self._is_copy else None
        if extent.keeps:
            self.d_out, self._slope = xp.empty(*shape), xp.empty(*shape) if self._is_copy else None
        outputs = np.arange(readout.n_out)[:, None]
        if readout.kind is ReadoutKind.LINEAR:
            index = np.full((readout.n_out, rows[-1] + 1 - rows[0]), -1)
            index[:, np.array(rows[:-1]) - rows[0]] = readout.weight + outputs * readout.n_in + np.arange(readout.n_in)
            index[:, -1:] = readout.bias + outputs
            self._blocks = [packing.add(index)]
        elif readout.kind is ReadoutKind.AFFINE:
            self._rows = slice(rows[0], rows[0] + readout.n_in)
            self._blocks = [packing.add(readout.weight + outputs), packing.add(readout.bias + outputs)]
        else:
            self._rows = slice(rows[0], rows[0] + readout.n_in)
            self._blocks = []

    def bind(self, z: Values, dz: Values | None) -> None:
        """Take the rows of the network."""
        self._read, self._d_read = z[:, self._rows], None if dz is None else dz[:, self._rows]
        self.out = self._read if self._own is None else self._own

    def forward(self, do: Emit) -> None:
        """Compute ``out`` of every step."""
        xp, out = self.xp, self.out
        if self.readout.kind is ReadoutKind.LINEAR:
            do(xp.matmul, self._blocks[0].values, by_seed(self._read), by_seed(out))
        elif self.readout.kind is ReadoutKind.AFFINE:
            do(xp.multiply, self._read, by_seed(self._blocks[0].values), out)
            do(xp.add, out, by_seed(self._blocks[1].values), out)
        if self.readout.squash:
            source = self._read if self.readout.kind is ReadoutKind.SLICE else out
            do(xp.multiply, source, xp.number(2 * xp.sign), out)
            xp.logistic(do, out)
            do(xp.multiply, out, xp.two, out)
            do(xp.subtract, out, xp.one, out)

    def backward(self, do: Emit, *, adds: bool, wants_parameters: bool) -> None:
        """Write, or add to, the gradients of the rows, and write those of the parameters."""
        xp, d, slope = self.xp, self.d_out, self._slope
        if self.readout.squash:
            do(xp.multiply, self.out, self.out, slope)
            do(xp.subtract, xp.one, slope, slope)
            do(xp.multiply, d, slope, d)
        kind = self.readout.kind
        if wants_parameters and kind is ReadoutKind.LINEAR:
            sum_of_products(xp, do, d, self._read, self._blocks[0].gradient)
        if wants_parameters and kind is ReadoutKind.AFFINE:
            sums = xp.empty(*d.shape[:3])
            for product, block in zip((slope, d), self._blocks, strict=True):
                if product is slope:
                    do(xp.multiply, d, self._read, slope)
                do(xp.sum_last, product, sums)
                do(xp.sum_first, sums.swapaxes(1, 2), block.gradient[:, :, 0])
        assert self._d_read is not None
        onto = self.xp.empty(*self._d_read.shape) if adds and kind is not ReadoutKind.SLICE else self._d_read
        if kind is ReadoutKind.LINEAR:
            back = xp.multiply if self.readout.n_out == 1 else xp.matmul  # of a column by a row: the same, but faster
            do(back, self._blocks[0].values.swapaxes(1, 2), by_seed(d), by_seed(onto))
        elif kind is ReadoutKind.AFFINE:
            do(xp.multiply, d, by_seed(self._blocks[0].values), onto)
        else:
            do(xp.add, d, onto, onto) if adds else do(xp.copy, d, onto)
        if onto is not self._d_read:
            do(xp.add, self._d_read, onto, self._d_read)

    def no_gradient(self, do: Emit) -> None:
        """Write zeros as the gradients of the parameters, where no gradient comes from the output."""
        for block in self._blocks:
            do(self.xp.fill, 0.0, block.gradient)
