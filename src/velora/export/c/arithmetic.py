"""The functions that a policy needs, in whole numbers of 32 bits: as C, and as NumPy with the same bits.

An exponential, a division and what follows from them are cheaper so than in floats where a processor has no floating-
point unit, no dearer where it has one, and as exact. Every C function of ``templates/arithmetic.c`` that a formula
names has its twin in :class:`Arithmetic`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.export.c.numbers import rows, unsigned
from velora.export.c.templates import closure, fill, text

Array = NDArray[Any]
Whole = NDArray[Any]
"""Whole numbers below 2^32, in 64 bits."""

POWERS = tuple(round(2.0 ** (30 - k / 32)) for k in range(32))
"""2^(-k/32) in 2^-30."""
SLOPE, CURVATURE = round(2976944612 / 32), round(1021440809 / 1024 / 16)
"""2^(-g/32) = 1 - SLOPE/2^32 g + CURVATURE/2^28 g^2, for g from 0 to 1: the one with the least relative error."""
LOG = (4294967276, 2147479457, 1431510986, 1071771879, 845075155, 657370193, 455423505, 244639333, 85261380, 13932982)
"""log(1 + f) / f = c0 - c1 f + c2 f^2 - ..., for f from 0 to 1: the same kind of polynomial."""
LOG2_E = 3098164009
"""log2(e) in 2^-31."""
ONE = 1 << 30
_TOP = 1 << 31
_BITS = 0xFFFFFFFF


def functions(names: set[str]) -> str:
    """Return the C text of functions and of those that they need."""
    values = {
        "POWERS": rows([unsigned(c) for c in POWERS], indent=" " * 8),
        "SLOPE": unsigned(SLOPE),
        "CURVATURE": f"UINT16_C({CURVATURE})",
        "LOG2_E": unsigned(LOG2_E),
        "LOG": rows([unsigned(c) for c in LOG], indent=" " * 8),
        "LAST_LOG": str(len(LOG) - 1),
    }
    return fill(closure(text("arithmetic.c"), names), values)


class Arithmetic:
    """The functions on float32 arrays, bit for bit what the C text computes."""

    def sigmoid(self, x: Array) -> Array:
        return _float(_logistic(x, 0)) * _power(-30)

    def tanh_of(self, x: Array) -> Array:
        return _float(_logistic(x, 1).astype(np.int64) - (1 << 29)) * _power(-29)

    def blend(self, a: Array, b: Array, gate: Array) -> Array:
        g = _logistic(gate, 0)
        total = _high(ONE - g, _logistic(a, 1)) + _high(g, _logistic(b, 1))
        return _float(total.astype(np.int64) - (1 << 27)) * _power(-27)

    def blend_no_gate(self, a: Array, b: Array, gate: Array) -> Array:
        g = _logistic(gate, 0)
        total = (_logistic(a, 1) >> 1) + (_high(g, _logistic(b, 1)) << 1)
        return _float(total.astype(np.int64) - (g >> 2).astype(np.int64) - (1 << 28)) * _power(-28)

    def decay(self, x: Array) -> Array:
        t = _halvings(x, 0)
        mantissa = _float(_halving(t))
        scaled = np.ldexp(mantissa, -((t >> 24).astype(np.int64) + 30)).astype(np.float32)
        return np.where(t == _BITS, np.float32(0), scaled)

    def softplus(self, x: Array) -> Array:
        e = self.decay(x)
        f = (np.minimum(e, np.nextafter(np.float32(1), np.float32(0))) * _power(31)).astype(np.uint64) << 1
        result: Array = self.above_zero(x) + e * _log_1p(f)
        return result

    def log_of(self, x: Array) -> Array:
        bits = _bits(x)
        f = (bits << 9) & _BITS
        exponent = _float((bits >> 23).astype(np.int64) - 127)
        return exponent * np.float32(np.log(2)) + (_float(f >> 1) * _power(-31)) * _log_1p(f)

    def above_zero(self, x: Array) -> Array:
        return np.where(x > 0, x, np.float32(0))

    def magnitude(self, x: Array) -> Array:
        return np.abs(x)

    def let(self, name: str, value: Array) -> Array:
        return value


def _power(exponent: int) -> np.float32:
    return np.float32(2.0**exponent)


def _float(whole: Array) -> Array:
    return whole.astype(np.float32)


def _bits(x: Array) -> Whole:
    return np.asarray(x, np.float32).view(np.uint32).astype(np.uint64)


def _high(a: Any, b: Any) -> Whole:
    product: Whole = np.asarray(a, np.uint64) * np.asarray(b, np.uint64)
    return product >> 32


def _halving(t: Whole) -> Whole:
    above, g = np.array(POWERS, np.uint64)[(t >> 19) & 31], (t << 13) & _BITS
    result: Whole = above - _high(above, _high(g, SLOPE - (((g >> 16) * CURVATURE) >> 12)))
    return result


def _halvings(x: Array, doublings: int) -> Whole:
    bits = _bits(x)
    exponent = ((bits >> 23) & 0xFF) + doublings
    product = _high(((bits << 8) & _BITS) | _TOP, LOG2_E)
    inside = product >> np.clip(133 - exponent.astype(np.int64), 0, 31).astype(np.uint64)
    return np.where(exponent > 132, np.uint64(_BITS), np.where(exponent < 102, np.uint64(0), inside))


def _logistic(x: Array, doublings: int) -> Whole:
    t = _halvings(x, doublings)
    e = np.where(t < (31 << 24), _halving(t) >> np.minimum(t >> 24, 31), np.uint64(0))
    d = ONE + e
    y = ((1 << 29) // (d >> 16)) << 16
    y = _high(y, (ONE - _high(d, y)) << 2)
    return np.where(np.signbit(np.asarray(x, np.float32)), ONE - y, y)


def _log_1p(f: Whole) -> Array:
    p = np.zeros_like(f)
    for c in reversed(LOG):
        p = c - _high(f, p)
    return _float(p >> 1) * _power(-31)
