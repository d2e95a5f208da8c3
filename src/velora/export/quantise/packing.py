"""The numbers of layers in the order in which C walks through them, and what their C functions count on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from velora.export.quantise.arithmetic import Integers
from velora.export.quantise.description import Linear, QuantisedLayer
from velora.kernels.layers import Kind

_GATED = (2, 0, 1, 3)
"""Heads of a gated layer in the order of C: the inputs go to the first three, the old state to the last three."""
_NAMES = {
    Kind.CFC: "cfc",
    Kind.CFC_NO_GATE: "cfc_no_gate",
    Kind.CFC_PURE: "cfc_pure",
    Kind.GRU: "gru",
    Kind.GRU_D: "gru",
    Kind.LEAKY: "leaky",
    Kind.LEAKY_NO_RESET: "leaky_no_reset",
    Kind.TANH: "dense",
    Kind.RELU: "relu",
    Kind.LSTM: "lstm",
    Kind.LSTM_LAYER: "lstm",
}
"""Parts of ``templates/layers.c``."""
TIMED = frozenset({"cfc", "cfc_no_gate", "cfc_pure", "leaky", "leaky_no_reset"})
"""Those that read the elapsed time."""


def formula(layer: QuantisedLayer) -> str:
    """Return the name of a layer's formula in ``templates/layers.c``."""
    return _NAMES[layer.kind] + ("_merged" if layer.merged else "")


def fades(layer: QuantisedLayer) -> bool:
    """Return whether the old state fades before the heads read it."""
    return layer.kind is Kind.GRU_D


@dataclass(frozen=True, slots=True)
class Side:
    """Weights from what a layer reads to its heads.

    Shapes:
        weights: (heads, n, n_read). multiplier: (heads, n).

    Attributes:
        into: the first and the one after the last of the layer's heads that they go to.
    """

    weights: Integers
    multiplier: Integers
    into: tuple[int, int]

    @property
    def present(self) -> NDArray[np.bool_]:
        """Whether a synapse is there, (n, n_read)."""
        return np.asarray((self.weights != 0).any(0))


@dataclass(frozen=True, slots=True)
class Block:
    """The linear heads of a layer, in C's order.

    Shapes:
        bias: (heads, n).
    """

    bias: Integers
    sides: tuple[Side, ...]


def block(linear: Linear, n: int, order: Iterable[int] | None = None) -> Block:
    """Take linear heads apart."""
    bias = linear.bias.reshape(-1, n)
    heads = list(range(len(bias)) if order is None else order)
    sides = [
        _side(side.weights.reshape(len(heads), n, -1)[heads], side.multiplier.reshape(-1, n)[heads])
        for side in linear.products
    ]
    return Block(bias[heads], tuple(sides))


def layer_block(layer: QuantisedLayer) -> Block:
    """Take the heads of a layer apart."""
    gated = layer.kind in (Kind.GRU, Kind.GRU_D, Kind.LEAKY)
    return block(layer.linear, layer.n, _GATED if gated else None)


def _side(weights: Integers, multiplier: Integers) -> Side:
    used = np.flatnonzero((weights != 0).any((1, 2)))
    begin, end = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 1)
    return Side(weights[begin:end], multiplier[begin:end], (begin, end))


def widest(blocks: Iterable[Block]) -> list[tuple[int, int]]:
    """Return for each side the heads that the weights of any block go to."""
    by_side = zip(*([side.into for side in one.sides] for one in blocks), strict=True)
    return [(min(a for a, _ in parts), max(b for _, b in parts)) for parts in by_side]


def widened(one: Block, into: list[tuple[int, int]]) -> Block:
    """Add heads without weights, so that the sides of all blocks go to the same heads."""
    sides = []
    for side, (begin, end) in zip(one.sides, into, strict=True):
        room = ((side.into[0] - begin, end - side.into[1]), (0, 0))
        weights = np.pad(side.weights, (*room, (0, 0)))
        sides.append(Side(weights, np.pad(side.multiplier, room), (begin, end)))
    return Block(one.bias, tuple(sides))


def is_listed(sides: Iterable[Side]) -> bool:
    """Return whether lists of sources are shorter than weights of 0 in full blocks."""
    listed = full = 0
    for side in sides:
        heads, n, _ = side.weights.shape
        listed += int(side.present.sum()) * (heads + 1) + n
        full += side.present.size * heads
    return listed < full


@dataclass(slots=True)
class Stream:
    """Numbers in the order in which they are read."""

    weights: list[int]
    numbers: list[int]
    sources: list[int]

    def add(self, one: Block, listed: Iterable[bool]) -> None:
        """Append a block, neuron by neuron."""
        lists = list(listed)
        for neuron in range(one.bias.shape[1]):
            self.numbers += one.bias[:, neuron].tolist()
            for side, is_list in zip(one.sides, lists, strict=True):
                there = np.flatnonzero(side.present[neuron]) if is_list else np.arange(side.weights.shape[2])
                self.sources += [len(there), *there.tolist()] if is_list else []
                self.weights += side.weights[:, neuron, there].T.ravel().tolist()
                self.numbers += side.multiplier[:, neuron].tolist()
