"""How inputs and states become whole numbers, by what a calibration met."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from velora.core.errors import ExportError
from velora.export.policy import Layer, Policy
from velora.export.quantise.arithmetic import DT_BITS, LARGEST, LEAST_DT_BITS, ONE
from velora.export.quantise.calibration import Trace
from velora.export.quantise.description import Inputs
from velora.export.replay import Replay
from velora.kernels.layers import Kind

Doubles = NDArray[np.float64]

MARGIN = 0.25
"""Part of its range by which an input may leave, to each side, what calibration saw of it."""
LN2 = math.log(2.0)


def state_bits(layer: Layer, trace: Trace) -> int:
    """Return the binary places of a layer's state."""
    if layer.kind is Kind.CFC_NO_GATE:
        return 14
    if layer.kind not in (Kind.RELU, Kind.CFC_PURE):
        return 15
    reach = float(np.abs(trace.states[:, layer.state_at : layer.state_at + layer.n]).max()) * (1.0 + 2.0 * MARGIN)
    bits = min(15, math.floor(math.log2(LARGEST / max(reach, 1e-3))))
    if bits < 0:
        raise ExportError(f"dtype=int8: a neuron reaches {reach:g}, which 16 bits don't hold; export dtype=float32")
    return bits


def input_scales(policy: Policy, trace: Trace) -> tuple[Doubles, Doubles]:
    """Return the middle and the unit of every input, (n_inputs,), from what calibration met and a margin."""
    replay = Replay(policy)
    met = np.array([replay.inputs(obs, float(dt)) for obs, dt in zip(trace.obs, trace.dt, strict=True)])
    low, high = met.min(0), met.max(0)
    room = MARGIN * (high - low)
    low, high = low - room, high + room
    if policy.normalisation is not None:
        most = np.full(policy.n_inputs, np.inf)
        most[: policy.n_observations] = policy.normalisation.most
        low, high = np.maximum(low, -most), np.minimum(high, most)
    half = (high - low) / 2.0
    half = np.where(half > 1e-6 * np.maximum(1.0, np.abs(high)), half, 1.0)
    return _short((low + high) / 2.0), _short(half) / LARGEST


def _short(values: Doubles) -> Doubles:
    """Round to six digits, so that the last bits of a sum on another machine don't change a file."""
    return np.array([float(f"{value:.6g}") for value in values])


def folded_inputs(policy: Policy, middle: Doubles, unit: Doubles) -> Inputs:
    """Fold the normalisation, and the logarithm's base, into the middles and factors."""
    middle, factor = middle.copy(), 1.0 / unit
    if policy.reads_log_dt:
        middle[-1], factor[-1] = middle[-1] * ONE / LN2, factor[-1] * LN2 / ONE
    if policy.normalisation is not None:
        mean, size = (v.astype(np.float64) for v in (policy.normalisation.mean, policy.normalisation.factor))
        n = policy.n_observations
        middle[:n], factor[:n] = mean + middle[:n] / size, factor[:n] * size
    return Inputs(middle.astype(np.float32), factor.astype(np.float32))


def time_bits(policy: Policy, trace: Trace) -> int:
    """Return the binary places of the elapsed time: twice the longest of calibration has to fit.

    Raises:
        ExportError: if it doesn't.
    """
    longest = float(trace.dt.max())
    bits = min(DT_BITS, math.floor(math.log2(65535.0 / (2.0 * longest))))
    if bits < LEAST_DT_BITS and policy.reads_dt:
        raise ExportError(
            f"dtype=int8: calibration met a step of {longest:g} control steps; expected at most "
            f"{65535 / 2 / 2**LEAST_DT_BITS:g}; export it with dtype=float32"
        )
    return max(bits, LEAST_DT_BITS)
