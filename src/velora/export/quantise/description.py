"""A quantised policy: whole numbers from which the NumPy model and the C are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from velora.export.policy import Policy
from velora.export.quantise.arithmetic import Integers
from velora.kernels.layers import Kind


@dataclass(frozen=True, slots=True)
class Product:
    """Products of one side, the inputs or the own old state, with whole weights.

    A sum of products is rounded down to ``sum >> before``, and multiplied by its row's whole number.

    Shapes:
        weights: (rows, n_read). multiplier: (rows,), 0 where a row has no weights.
    """

    weights: Integers
    multiplier: Integers

    @property
    def bound(self) -> Integers:
        """The largest size of the sums, (rows,)."""
        return np.asarray(np.abs(self.weights).sum(1) * 32768)


@dataclass(frozen=True, slots=True)
class Linear:
    """Linear heads: ``((inputs >> before) * m + (state >> before) * m >> after) + bias``.

    Shapes:
        bias: (rows,); the rows are head after head.
    """

    inputs: Product
    recurrent: Product | None
    bias: Integers

    @property
    def products(self) -> tuple[Product, ...]:
        """Both sides, or the one that there is."""
        return (self.inputs,) if self.recurrent is None else (self.inputs, self.recurrent)


@dataclass(frozen=True, slots=True)
class QuantisedLayer:
    """One layer.

    Attributes:
        n_in, n, state_at: as in the policy.
        state_bits: a neuron's number is ``whole / 2^state_bits``.
        numbers: others of each neuron, (n,), by name: ``"w_tau"`` and ``"A"`` of ``Kind.CFC_PURE``,
            ``"decay_weight"`` and ``"decay_bias"`` of ``Kind.GRU_D``.
        shift: bits that a product with ``A`` is shifted by.
        merged: whether a CfC has one head for c + d, since it isn't told the time.
    """

    kind: Kind
    n_in: int
    n: int
    state_at: int
    linear: Linear
    state_bits: int = 15
    numbers: Mapping[str, Integers] = field(default_factory=dict)
    shift: int = 0
    merged: bool = False


@dataclass(frozen=True, slots=True)
class Inputs:
    """How observations become whole numbers: ``(obs - middle) * factor``, rounded and limited to 16 bits.

    Shapes:
        middle, factor: (n_inputs,) float32; the one that log(dt) is, the last, takes 2^15 log2(dt).
    """

    middle: NDArray[np.float32]
    factor: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class QuantisedReadout:
    """What is read off the state.

    Attributes:
        state_at, n_in, n_out: as in the policy.
        linear: a linear map of the state, or ``None`` for a part of it.
        tanh: for each tanh that is taken, for ``squash`` and ``Choice.TANH``, the binary places of what it reads.
        bits: binary places of the result; of logits they mean nothing.
        is_limited: whether a sum is limited to 16 bits.
    """

    state_at: int
    n_in: int
    n_out: int
    linear: Linear | None
    tanh: tuple[int, ...]
    bits: int
    is_limited: bool


@dataclass(frozen=True, slots=True)
class Quantised:
    """A policy in whole numbers.

    Attributes:
        policy: that it was made from.
        weight_bits: 8 or 16.
        before, after: bits that every sum is shifted by, before and after its multiplication.
        dt_bits: binary places of the elapsed time.
    """

    policy: Policy
    weight_bits: int
    inputs: Inputs
    layers: tuple[QuantisedLayer, ...]
    readout: QuantisedReadout
    before: int
    after: int
    dt_bits: int

    @property
    def shortest_dt(self) -> float:
        """Least time that is told apart, in control steps."""
        return 1.0 / (1 << self.dt_bits)

    @property
    def longest_dt(self) -> float:
        """Time from which on all times count as this one, in control steps."""
        return 65535.0 / (1 << self.dt_bits)
