"""Lay the parameters of a network out as its layers multiply by them, and their gradients back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.kernels.arrays.namespace import Emit, Namespace, Values

Index = NDArray[np.int64]


class Block:
    """A matrix or vector of parameters, each times a constant.

    Shapes:
        index: (S, ...), which parameter of the seed; -1 is none, a zero.
        scale: the same.
        values, gradient: the same; memory that exists when the packing is finished, and only what was asked for.
        twin: the same, other parameters that have the same gradient; ``None`` for none.
    """

    values: Values
    gradient: Values

    def __init__(self, index: Index, scale: NDArray[Any]) -> None:
        self.index, self.scale = index, scale
        self.twin: Index | None = None


class Packing:
    """Collect blocks, then fill all of them in one pass, and empty their gradients in one.

    Shapes:
        mask: (S, P) or ``None``; what it switches off is packed as zero, and its gradient is zero.
    """

    def __init__(self, xp: Namespace, n_seeds: int, n_parameters: int, mask: NDArray[Any] | None) -> None:
        self._xp, self._n_seeds, self._n_parameters = xp, n_seeds, n_parameters
        self._mask = np.ones((n_seeds, n_parameters)) if mask is None else mask
        self._filled: list[Block] = []
        self._emptied: list[Block] = []

    def exists(self, index: Index) -> NDArray[Any]:
        """Look parameters up in the mask: (S, ...) for an index (...) that holds for every seed."""
        return self._mask[:, index]

    def add(self, index: Index, scale: Any = 1.0, *, has_values: bool = True, has_gradient: bool = True) -> Block:
        """Ask for a block; an index without a seed axis holds for all seeds. One block may have a parameter's gradient.

        Shapes:
            index: (S, ...) or (...), as the number of axes of ``scale`` tells: that has no seed axis.
        """
        whole = np.broadcast_to(index, (self._n_seeds, *np.shape(index)))
        return self.add_by_seed(whole, scale, has_values=has_values, has_gradient=has_gradient)

    def add_by_seed(
        self, index: Index, scale: Any = 1.0, *, has_values: bool = True, has_gradient: bool = True
    ) -> Block:
        """Ask for a block whose index (S, ...) differs between seeds."""
        block = Block(index, np.broadcast_to(np.asarray(scale, dtype=np.float64), index.shape))
        if has_values:
            self._filled.append(block)
        if has_gradient:
            self._emptied.append(block)
        return block

    def share_gradient(self, block: Block, index: Index) -> None:
        """Declare that these parameters, for all seeds, have the same gradients as a block's."""
        block.twin = np.broadcast_to(index, (self._n_seeds, *np.shape(index)))

    def finish(self, *, keeps: bool) -> None:
        """Give all blocks their memory; that of gradients only if ``keeps``."""
        xp, n = self._xp, self._n_seeds
        seeds = np.arange(n)[:, None]
        index, scale = _joined(self._filled, n)
        self._source = xp.constant(np.maximum(index, 0) + seeds * self._n_parameters)
        self._scale = xp.constant(np.where(index < 0, 0.0, scale * self._mask[seeds, np.maximum(index, 0)]))
        self._packed = xp.zeros(n, index.shape[1])
        for block, values in zip(self._filled, _parts(self._packed, self._filled), strict=True):
            block.values = values
        if not keeps:
            return
        index, scale = _joined(self._emptied, n)
        width = index.shape[1]
        at, back = np.zeros((n, self._n_parameters), np.int64), np.zeros((n, self._n_parameters))
        twins = np.concatenate([(b.index if b.twin is None else b.twin).reshape(n, -1) for b in self._emptied], 1)
        for owners in (index, twins):
            for k in range(n):
                known = owners[k] >= 0
                at[k, owners[k, known]] = np.flatnonzero(known)
                back[k, owners[k, known]] = scale[k, known]
        self._place, self._back = xp.constant(at + seeds * width), xp.constant(back * self._mask)
        self._gradient = xp.zeros(n, width)
        for block, values in zip(self._emptied, _parts(self._gradient, self._emptied), strict=True):
            block.gradient = values

    def pack(self, do: Emit, parameters: Values) -> None:
        """Fill the blocks from parameters (S, P), contiguous."""
        xp = self._xp
        do(xp.take, parameters.reshape(-1), self._source, self._packed)
        do(xp.multiply, self._packed, self._scale, self._packed)

    def unpack(self, do: Emit, gradient: Values) -> None:
        """Write the gradients of all parameters, (S, P), contiguous, from those of the blocks."""
        xp = self._xp
        do(xp.take, self._gradient.reshape(-1), self._place, gradient)
        do(xp.multiply, gradient, self._back, gradient)


def _joined(blocks: list[Block], n_seeds: int) -> tuple[Index, NDArray[Any]]:
    index = np.concatenate([b.index.reshape(n_seeds, -1) for b in blocks], 1)
    return index, np.concatenate([b.scale.reshape(n_seeds, -1) for b in blocks], 1)


def _parts(memory: Values, blocks: list[Block]) -> list[Values]:
    parts, at = [], 0
    for block in blocks:
        shape = block.index.shape
        size = int(np.prod(shape[1:]))
        parts.append(memory[:, at : at + size].reshape(shape))
        at += size
    return parts
