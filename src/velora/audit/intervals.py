"""Interval arithmetic: the operations of a policy on boxes instead of numbers, rounded outwards.

Whatever numbers lie in the boxes that go in, the exact result lies in the box that comes out. Additions, products and
quotients of float64 are rounded to the nearest, so the next number outwards is far enough; functions and sums get a
margin several times what their errors can be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from velora.core.errors import ShapeError
from velora.export.replay import sigmoid, softplus

Floats = NDArray[np.float64]

_MARGIN: Final = 2.0**-49
"""Relative error allowed to a function of NumPy, 8 units in the last place; the largest that is known is below 4."""
_TINY: Final = 2.0**-1000


@dataclass(frozen=True, slots=True)
class Interval:
    """Boxes ``[low, high]``.

    Shapes:
        low, high: alike, any.

    Raises:
        ShapeError: if the two differ in shape, or a low end is above its high end.
    """

    low: Floats
    high: Floats

    def __post_init__(self) -> None:
        if self.low.shape != self.high.shape or not (self.low <= self.high).all():
            raise ShapeError("interval: expected low ends below their high ends, in arrays of one shape")

    @classmethod
    def point(cls, numbers: NDArray[Any]) -> Interval:
        """Make boxes of single numbers."""
        exact = np.asarray(numbers, np.float64)
        return cls(exact, exact)

    @property
    def width(self) -> Floats:
        """Distance of the ends."""
        return self.high - self.low

    def intersected(self, low: Floats | float, high: Floats | float) -> Interval:
        """Return what also lies between two other ends, where the truth is known to lie."""
        return Interval(np.maximum(self.low, low), np.minimum(self.high, high))

    def __add__(self, other: Interval) -> Interval:
        return _outwards(self.low + other.low, self.high + other.high)

    def __sub__(self, other: Interval) -> Interval:
        return _outwards(self.low - other.high, self.high - other.low)

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low)

    def __mul__(self, other: Interval) -> Interval:
        return _outwards(*_hull([a * b for a in (self.low, self.high) for b in (other.low, other.high)]))

    def __truediv__(self, other: Interval) -> Interval:
        """Divide by boxes that don't hold zero.

        Raises:
            ShapeError: if one does.
        """
        if not ((other.low > 0.0) | (other.high < 0.0)).all():
            raise ShapeError("interval: expected a divisor that doesn't hold zero")
        with np.errstate(over="ignore"):  # an end beyond all floats is infinite, which bounds it
            return _outwards(*_hull([a / b for a in (self.low, self.high) for b in (other.low, other.high)]))


def _hull(ends: Sequence[Floats]) -> tuple[Floats, Floats]:
    low, high = ends[0], ends[0]
    for one in ends[1:]:
        low, high = np.minimum(low, one), np.maximum(high, one)
    return low, high


def _outwards(low: Floats, high: Floats) -> Interval:
    return Interval(np.nextafter(low, -np.inf), np.nextafter(high, np.inf))


def _widened(low: Floats, high: Floats, size: Floats | float = 0.0) -> Interval:
    """Add the margin of functions, relative to the ends, and to ``size`` where parts of a sum are larger than it."""
    own = [_MARGIN * (np.abs(end) + size) + _TINY for end in (low, high)]
    return Interval(low - own[0], high + own[1])


class Intervals:
    """The operations of :class:`velora.export.operations.Operations` on intervals.

    Args:
        invariants: ends between which the new state of a layer is known to lie, by the layer's number; see
            :func:`velora.audit.bounds.invariants`.

    Attributes:
        outputs: what a discrete action was last chosen by.
    """

    def __init__(self, invariants: Mapping[int, tuple[Floats, Floats]] | None = None) -> None:
        self._invariants = {f"layer{number}": ends for number, ends in (invariants or {}).items()}
        self._scope = ""
        self.outputs: Interval | None = None

    def parameter(self, name: str, numbers: NDArray[Any]) -> Interval:
        """Return numbers of the policy, rounded to float32 as every target rounds them: products are among them."""
        return Interval.point(np.asarray(numbers, np.float32))

    @contextmanager
    def within(self, name: str) -> Iterator[None]:
        """Note which layer is computed."""
        before, self._scope = self._scope, name
        yield
        self._scope = before

    def called(self, name: str, value: Interval) -> Interval:
        """Cut the new state of a layer down to where it is known to lie."""
        if name == "next" and self._scope in self._invariants:
            return value.intersected(*self._invariants[self._scope])
        return value

    def elementwise(self, function: str, value: Interval) -> Interval:
        """See :class:`velora.export.operations.Operations`; all but ``abs`` are monotonous."""
        low, high = value.low, value.high
        match function:
            case "abs":
                inside = (low <= 0.0) & (high >= 0.0)
                ends = np.abs(low), np.abs(high)
                return Interval(np.where(inside, 0.0, np.minimum(*ends)), np.maximum(*ends))
            case "relu":
                return Interval(np.maximum(low, 0.0), np.maximum(high, 0.0))
            case "exp":
                return _positive(_widened(np.exp(low), np.exp(high)))
            case "log":
                return _widened(np.log(low), np.log(high))
            case "tanh":
                return _widened(np.tanh(low), np.tanh(high)).intersected(-1.0, 1.0)
            case "sigmoid":
                found = _widened(sigmoid(low), sigmoid(high), 1.0)
                return found.intersected(0.0, 1.0)
            case "softplus":
                return _positive(_widened(softplus(low), softplus(high), 1.0))
        raise AssertionError(f"no interval of {function}")

    def mix(self, first: Interval, second: Interval, share: Interval) -> Interval:
        """See :class:`velora.export.operations.Operations`.

        ``(1 - s) a + s b`` grows with a and b, and is linear in s: its extremes are at ends of all three, exactly.
        """
        size = np.maximum.reduce([np.abs(one) for box in (first, second) for one in (box.low, box.high)])
        shares = share.low, share.high
        low = np.minimum(*((1.0 - s) * first.low + s * second.low for s in shares))
        high = np.maximum(*((1.0 - s) * first.high + s * second.high for s in shares))
        return _widened(low, high, size)

    def linear(self, x: Interval, weight: Interval, bias: Interval) -> Interval:
        """See :class:`velora.export.operations.Operations`; weights are numbers, and so are biases.

        The margin is that of a sum in any order: (n + 2) units in the last place of the sum of absolute products.
        """
        w, b = weight.low, bias.low
        up, down = np.maximum(w, 0.0).T, np.minimum(w, 0.0).T
        low = x.low @ up + x.high @ down + b
        high = x.high @ up + x.low @ down + b
        size = np.maximum(np.abs(x.low), np.abs(x.high)) @ np.abs(w).T + np.abs(b)
        margin = (w.shape[1] + 2) * 2.0**-51 * size + _TINY
        return Interval(low - margin, high + margin)

    def split(self, x: Interval, sizes: Sequence[int]) -> Sequence[Interval]:
        """See :class:`velora.export.operations.Operations`."""
        at = np.cumsum(sizes)[:-1]
        ends = zip(np.split(x.low, at, axis=1), np.split(x.high, at, axis=1), strict=True)
        return [Interval(low, high) for low, high in ends]

    def join(self, parts: Sequence[Interval]) -> Interval:
        """See :class:`velora.export.operations.Operations`."""
        return Interval(*(np.concatenate([getattr(one, end) for one in parts], 1) for end in ("low", "high")))

    def with_axis(self, x: Interval) -> Interval:
        """See :class:`velora.export.operations.Operations`."""
        return Interval(x.low[..., None], x.high[..., None])

    def sum_rows(self, x: Interval) -> Interval:
        """See :class:`velora.export.operations.Operations`."""
        size = np.maximum(np.abs(x.low), np.abs(x.high)).sum(1)
        margin = (x.low.shape[1] + 2) * 2.0**-51 * size + _TINY
        return Interval(x.low.sum(1) - margin, x.high.sum(1) + margin)

    def clip(self, x: Interval, low: NDArray[np.float32], high: NDArray[np.float32]) -> Interval:
        """See :class:`velora.export.operations.Operations`."""
        return Interval(*(np.clip(end, low.astype(np.float64), high.astype(np.float64)) for end in (x.low, x.high)))

    def largest(self, x: Interval, first: int) -> Interval:
        """Return the smallest and the largest number of a choice that may be made; which may, ``possible`` says."""
        self.outputs = x
        may = possible(x)
        numbers = np.arange(x.low.shape[1])
        low, high = np.where(may, numbers, x.low.shape[1]).min(1), np.where(may, numbers, -1).max(1)
        return Interval((low + first).astype(np.float64), (high + first).astype(np.float64))


def possible(outputs: Interval) -> NDArray[np.bool_]:
    """Return which choices may be the largest of some outputs, (B, n)."""
    found: NDArray[np.bool_] = outputs.high >= outputs.low.max(1, keepdims=True)
    return found


def _positive(found: Interval) -> Interval:
    return Interval(np.maximum(found.low, 0.0), found.high)
