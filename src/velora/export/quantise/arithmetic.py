"""The arithmetic of a quantised policy in whole numbers, with the same bits as the C that is generated.

Numbers are ``int64`` here, so that nothing wraps round; each function says how large its operands are in C, where all
are 32 bits wide. ``shift`` rounds down, for negative numbers too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

LARGEST = 32767
"""Largest activation, input and clamped sum, and with its sign changed the least."""
ONE = 32768
"""One in Q15, the form of gates and of most activations."""
SUM_BITS, TIME_BITS, MEMORY_BITS = 12, 10, 20
"""Binary places of what gates read, of the head that the elapsed time multiplies, and of an LSTM's memory."""
LARGEST_MEMORY = (1 << 25) - 1
"""Largest memory of an LSTM: just under 32."""
LOG2_E = 47274
"""log2(e) in Q15."""
STEPS, TAILS, PARTS = 128, 64, 32
"""Pieces of the tables of the sigmoid and of softplus, from 0 to 8, and of 2^-x and log2(1 + x), from 0 to 1."""
DT_BITS, LEAST_DT_BITS = 12, 4
"""Binary places of the elapsed time, 16 bits in all: as a rule, and at least."""


def shift(x: Any, bits: int) -> Integers:
    """Divide by 2^bits and round down."""
    return np.asarray(x, np.int64) >> bits


def clamp(x: Any, largest: int = LARGEST) -> Integers:
    """Limit to what 16 bits hold."""
    return np.clip(np.asarray(x, np.int64), -largest, largest)


def _spline(function: Any, low: float, high: float, pieces: int) -> NDArray[np.float64]:
    """Fit straight pieces to a function by least squares, (pieces + 1,), with half the error of the usual ones."""
    fine = 32
    at = np.linspace(0.0, pieces, pieces * fine + 1)
    whole = np.minimum(at.astype(int), pieces - 1)
    basis = np.zeros((len(at), pieces + 1))
    rows = np.arange(len(at))
    basis[rows, whole] = 1.0 - (at - whole)
    basis[rows, whole + 1] = at - whole
    values = function(low + at * (high - low) / pieces)
    return np.asarray(np.linalg.solve(basis.T @ basis, basis.T @ values))


def _rounded(values: NDArray[np.float64], low: int, high: int) -> Integers:
    return np.clip(np.rint(values), low, high).astype(np.int64)


SIGMOID = _rounded(ONE * _spline(lambda x: 1.0 / (1.0 + np.exp(-x)), 0.0, 8.0, STEPS), ONE // 2, LARGEST)
"""Sigmoid in Q15, (129,), from 0 to 8; never 1, so that the tanh made of it needs no limit."""
SOFTPLUS = _rounded(ONE * np.log2(np.e) * _spline(lambda x: np.log1p(np.exp(-x)), 0.0, 8.0, TAILS), 1, 65535)
"""log2(e) softplus(-x) in Q15, (65,), from 0 to 8."""
POWER = _rounded(ONE * _spline(lambda x: 2.0**-x, 0.0, 1.0, PARTS), ONE // 2, ONE)
"""2^-x in Q15, (33,), from 0 to 1."""
POWER[0], POWER[-1] = ONE, ONE // 2


def sigmoid(x: Integers) -> Integers:
    """Return sigmoid(x) in Q15 of a sum in Q12, which is limited to 16 bits first."""
    limited = clamp(x)
    size = np.abs(limited)
    piece = size >> 8
    left = SIGMOID[piece]
    right = left + (((SIGMOID[piece + 1] - left) * (size & 255)) >> 8)
    return np.asarray(np.where(limited < 0, ONE - right, right), np.int64)


def tanh(twice: Integers) -> Integers:
    """Return tanh(x) in Q15 of a sum that holds 2 x in Q12."""
    return 2 * sigmoid(twice) - ONE


def mix(a: Integers, b: Integers, gate: Integers) -> Integers:
    """Return (1 - gate) a + gate b of 16-bit numbers; the gate is in Q15, at most 1."""
    return a + shift((b - a) * gate + ONE // 2, 15)


def product(a: Integers, b: Integers) -> Integers:
    """Return a b of 16-bit numbers, one of them in Q15, rounded to the nearest."""
    return shift(a * b + ONE // 2, 15)


def softplus(x: Integers) -> Integers:
    """Return log2(e) softplus(x) in Q15, below 2^19, of a sum in Q12, which is limited to 16 bits first."""
    x = clamp(x)
    size = np.abs(x)
    piece = size >> 9
    left = SOFTPLUS[piece]
    tail = left - (((left - SOFTPLUS[piece + 1]) * (size & 511)) >> 9)
    return np.asarray(tail + np.where(x > 0, (size * LOG2_E) >> SUM_BITS, 0), np.int64)


def stretch(rate: Integers, dt: Integers, dt_bits: int) -> Integers:
    """Return rate * dt in Q15 of a rate in Q15, from 0 to 2^19 - 1, and a time of 16 bits."""
    return ((dt * (rate >> 15)) << (15 - dt_bits)) + ((dt * (rate & LARGEST)) >> dt_bits)


def decay(x: Integers) -> Integers:
    """Return 2^-x in Q15 of x >= 0 in Q15; 0 from 16 on."""
    fraction = x & LARGEST
    piece = fraction >> 10
    left = POWER[piece]
    power = left - (((left - POWER[piece + 1]) * (fraction & 1023)) >> 10)
    return np.where(x >> 15 < 16, power >> np.minimum(x >> 15, 16), 0)


def remember(memory: Integers, keep: Integers, accept: Integers, candidate: Integers) -> Integers:
    """Return the new memory of an LSTM in Q20; the gates and the candidate are in Q15."""
    kept = (memory >> 15) * keep + (((memory & LARGEST) * keep) >> 15)
    return clamp(kept + shift(accept * candidate, 10), LARGEST_MEMORY)


def quantise(x: NDArray[np.float32]) -> Integers:
    """Round float32 numbers to 16 bits, halves away from zero."""
    size = (np.minimum(np.abs(x), np.float32(LARGEST)) + np.float32(0.5)).astype(np.int64)
    return np.where(np.signbit(x), -size, size)


def quantise_time(dt: NDArray[np.float32], dt_bits: int) -> Integers:
    """Round times to 16 bits without a sign, at least 1."""
    limited = np.clip(dt * np.float32(1 << dt_bits), np.float32(1.0), np.float32(65535.0))
    return np.asarray((limited + np.float32(0.5)).astype(np.int64), np.int64)


LOGARITHM = _rounded(ONE * np.log2(1.0 + np.arange(PARTS + 1) / PARTS), 0, ONE)
"""log2(1 + x) in Q15, (33,), from 0 to 1."""


def logarithm(dt: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 2^15 log2(dt) as float32, from the bits of dt; it is above 0 and no denormal number."""
    bits = dt.view(np.uint32).astype(np.int64)
    fraction = bits & 0x7FFFFF
    piece, rest = fraction >> 18, (fraction >> 3) & LARGEST
    left = LOGARITHM[piece]
    part = left + (((LOGARITHM[piece + 1] - left) * rest) >> 15)
    return np.asarray((((bits >> 23) - 127) * ONE + part).astype(np.float32), np.float32)
