"""Make a quantised policy of a policy and the episodes that it is calibrated by."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from velora.core.errors import ExportError
from velora.export.policy import Policy, Readout
from velora.export.quantise.arithmetic import LARGEST, LOG2_E, ONE, SUM_BITS, Integers
from velora.export.quantise.calibration import Trace
from velora.export.quantise.description import Linear, Quantised, QuantisedLayer, QuantisedReadout
from velora.export.quantise.fitting import MOST_MULTIPLIER, Heads, fit, fits, least_steps
from velora.export.quantise.heads import GATE, TWICE, check, is_merged, scales
from velora.export.quantise.scaling import folded_inputs, input_scales, state_bits, time_bits
from velora.kernels.layers import Kind
from velora.kernels.plan import ReadoutKind
from velora.ops.choice import Choice

Doubles = NDArray[np.float64]

BEFORE = {8: 8, 16: 12}
"""Bits that a sum is shifted by before its multiplication, by the bits of a weight."""
AFTER = {8: 8, 16: 12}
"""Bits that it is shifted by afterwards, if sums of 32 bits allow: whole bytes cost an 8-bit processor nothing."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What may be chosen.

    Attributes:
        weight_bits: 8 or 16.
        by_data: round weights and correct biases by the data of calibration; otherwise to the nearest.
    """

    weight_bits: int = 8
    by_data: bool = True


def quantise(policy: Policy, trace: Trace, choices: Choices | None = None) -> Quantised:
    """Make whole numbers of a policy.

    Raises:
        ExportError: if a layer can't be, or a sum can leave 32 bits.
    """
    check(policy)
    return _Maker(policy, trace, choices or Choices()).make()


class _Maker:
    """A policy, its trace in whole numbers, and how both are scaled."""

    def __init__(self, policy: Policy, trace: Trace, choices: Choices) -> None:
        self._policy, self._trace, self._choices = policy, trace, choices
        self._state_bits = [state_bits(layer, trace) for layer in policy.layers]
        self._middle, self._unit = input_scales(policy, trace)
        self._state_units = self._units_of_state()

    def make(self) -> Quantised:
        policy, heads = self._policy, [self._layer_heads(number) for number in range(len(self._policy.layers))]
        readout = self._readout_heads()
        everything = [*heads, *([] if readout is None else [readout])]
        before = BEFORE[self._choices.weight_bits]
        after = min(
            AFTER[self._choices.weight_bits],
            *(_most_shift(one, before, self._choices.weight_bits) for one in everything),
        )
        while True:
            linear = [self._fit(one, before, after) for one in everything]
            if all(fits(one, before, after) for one in linear):
                break
            after -= 1
            if after < 1:
                raise ExportError("dtype=int8: the weights span too much for sums of 32 bits; export dtype=float32")
        layers = tuple(self._layer(number, linear[number]) for number in range(len(policy.layers)))
        read = self._readout(None if readout is None else linear[-1])
        inputs = folded_inputs(policy, self._middle, self._unit)
        return Quantised(
            policy, self._choices.weight_bits, inputs, layers, read, before, after, time_bits(policy, self._trace)
        )

    def _fit(self, heads: Heads, before: int, after: int) -> Linear:
        return fit(heads, self._choices.weight_bits, before, after, by_data=self._choices.by_data)

    # ------------------------------------------------------------------------------------------------------- scales

    def _units_of_state(self) -> Doubles:
        """Return what one whole number of the state is, (n_state,)."""
        units = np.full(self._policy.n_state, 1.0 / ONE)
        for layer, bits in zip(self._policy.layers, self._state_bits, strict=True):
            if layer.kind is not Kind.LSTM:
                units[layer.state_at : layer.state_at + layer.n] = 2.0**-bits
        return units

    # -------------------------------------------------------------------------------------------------------- layers

    def _layer_heads(self, number: int) -> Heads:
        policy, layer = self._policy, self._policy.layers[number]
        one = scales(layer, policy, self._state_bits[number])
        read = self._trace.reads[number]
        assert read is not None
        weight, bias = (layer.tensors[name].astype(np.float64) for name in layer.kind.value.tensors[:2])
        weight = weight[:, : read.shape[1]]
        if is_merged(layer, policy):
            weight, bias = (
                np.concatenate((v[: 2 * layer.n], v[2 * layer.n : 3 * layer.n] + v[3 * layer.n :]))
                for v in (weight, bias)
            )
        middle, unit = self._read_by(number)
        middle, unit = middle[: read.shape[1]], unit[: read.shape[1]]
        return Heads(
            weight * unit * ONE,
            bias + weight @ middle,
            np.repeat(np.array(one, float), layer.n),
            _whole((read - middle) / unit),
            layer.n_in,
        )

    def _read_by(self, number: int) -> tuple[Doubles, Doubles]:
        """Return the middles and units of what a layer reads: its inputs, then its own state."""
        layer, layers = self._policy.layers[number], self._policy.layers
        if number == 0 or layers[number - 1].kind is Kind.LSTM:
            middle, unit = self._middle, self._unit
        else:
            middle, unit = np.zeros(layer.n_in), np.full(layer.n_in, 2.0 ** -self._state_bits[number - 1])
        if layer.kind is Kind.LSTM:
            own = self._state_units[: layer.n]
        else:
            mixed = layers[0].kind is Kind.LSTM
            own = np.full(layer.n, 1.0 / ONE if mixed else 2.0 ** -self._state_bits[number])
        return np.concatenate((middle, np.zeros(layer.n))), np.concatenate((unit, own))

    def _layer(self, number: int, linear: Linear) -> QuantisedLayer:
        layer = self._policy.layers[number]
        numbers, down = dict[str, Integers](), 0
        tensors = {name: values.astype(np.float64) for name, values in layer.tensors.items()}
        if layer.kind is Kind.CFC_PURE:
            rate = np.abs(tensors["w_tau"]) * LOG2_E
            worth = tensors["A"] * 2.0 ** (self._state_bits[number] - SUM_BITS)
            down = max(0, min(15, math.floor(math.log2(LARGEST / max(float(np.abs(worth).max()), 1e-6)))))
            numbers = {"w_tau": _rounded(rate, 2**18), "A": _rounded(worth * 2.0**down, LARGEST)}
        elif layer.kind is Kind.GRU_D:
            numbers = {name: _rounded(tensors[name] * LOG2_E, 2**18) for name in ("decay_weight", "decay_bias")}
        return QuantisedLayer(
            layer.kind,
            layer.n_in,
            layer.n,
            layer.state_at,
            linear,
            self._state_bits[number],
            numbers,
            down,
            is_merged(layer, self._policy),
        )

    # ------------------------------------------------------------------------------------------------------- readout

    def _readout_heads(self) -> Heads | None:
        read = self._policy.readout
        if read.kind is ReadoutKind.SLICE:
            return None
        assert read.weight is not None
        assert read.bias is not None
        weight = read.weight.astype(np.float64)
        weight = np.diag(weight) if read.kind is ReadoutKind.AFFINE else weight
        place = slice(read.state_at, read.state_at + read.n_in)
        unit = self._state_units[place]
        scaled, bias = weight * unit * ONE, read.bias.astype(np.float64)
        one = np.full(read.n_out, float(_readout_one(self._policy, scaled, bias)))
        return Heads(scaled, bias, one, _whole(self._trace.states[:, place] / unit), read.n_in)

    def _readout(self, linear: Linear | None) -> QuantisedReadout:
        read, choice = self._policy.readout, self._policy.choice
        units = self._state_units[read.state_at : read.state_at + read.n_in]
        if linear is None and len(set(units)) > 1:
            raise ExportError("dtype=int8: the outputs are neurons of layers with different ranges")
        bits = round(-math.log2(units[0])) if linear is None else SUM_BITS
        tanh: tuple[int, ...] = ()
        if read.squash or choice is Choice.TANH:
            first = bits if linear is None else SUM_BITS + 1
            tanh, bits = ((first, 15) if read.squash and choice is Choice.TANH else (first,)), 15
        is_limited = bool(tanh) or choice is not Choice.LARGEST
        return QuantisedReadout(read.state_at, read.n_in, read.n_out, linear, tanh, bits, is_limited)


def _readout_one(policy: Policy, weight: Doubles, bias: Doubles) -> int:
    """Return what one is in the whole numbers that are read off."""
    read: Readout = policy.readout
    if read.squash or policy.choice is Choice.TANH:
        return TWICE
    if policy.choice is Choice.LARGEST:  # without a limit, so that the largest of large ones is found too
        largest = float((np.abs(weight).sum(1) + np.abs(bias)).max())
        return int(min(GATE, max(1, 2 ** math.floor(17 - math.log2(max(largest, 1e-6))))))
    return GATE


def _most_shift(heads: Heads, before: int, weight_bits: int) -> int:
    """Return the largest shift after the multiplication with which sums and multipliers hold, with a little room."""
    sums = float((np.abs(heads.weight).sum(1) * heads.one).max()) * 1.1 + 1.0
    steps = max(float((least_steps(heads.weight[:, side], weight_bits) * heads.one).max()) for side in heads.sides)
    largest = max(steps / ONE * 2.0**before, 1e-9)
    return min(math.floor(31 - math.log2(sums)), math.floor(math.log2(MOST_MULTIPLIER / largest)))


def _whole(values: Doubles) -> Integers:
    return np.clip(np.rint(values), -LARGEST, LARGEST).astype(np.int64)


def _rounded(values: Doubles, limit: int) -> Integers:
    return np.clip(np.rint(values), -limit, limit).astype(np.int64)
