"""Curves of several seeds in one: their moving means, the interquartile mean of these, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from velora.analysis.aggregates import estimate_iqm
from velora.analysis.statistics import Floats
from velora.core.errors import SettingError

MIN_BOOTSTRAP_SEEDS: Final = 3
BOOTSTRAP, RANGE = "95 % bootstrap interval", "smallest to largest"
_GRID_POINTS = 200


class Curve(Protocol):
    """Values of one seed: ``values`` at ``x``, ascending, (points,) each."""

    @property
    def x(self) -> Floats:
        """Positions on the horizontal axis, ascending: (points,)."""
        ...

    @property
    def values(self) -> Floats:
        """Values at these positions: (points,)."""
        ...


@dataclass(frozen=True, slots=True)
class Band:
    """Interquartile mean over seeds and the band around it. Shapes: (points,) each.

    ``kind`` says what the band is; it is empty for a single seed, which has none.
    """

    x: Floats
    middle: Floats
    low: Floats
    high: Floats
    kind: str


def check_window(window: object) -> int:
    """Return how many values a moving mean takes.

    Raises:
        SettingError: if it isn't a whole number >= 1.
    """
    if isinstance(window, bool) or not isinstance(window, int) or window < 1:
        raise SettingError(f"window: expected a whole number >= 1, got {window!r}")
    return window


def moving_mean(values: Floats, window: int) -> Floats:
    """Average each value with those before it, ``window`` at most; the first ones over as many as there are.

    Shapes:
        values, returns: (episodes,).
    """
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - window)
    mean: Floats = (sums[ends] - sums[starts]) / (ends - starts)
    return mean


def common_range(curves: Sequence[Curve]) -> tuple[float, float]:
    """Return where all seeds have data, from and to.

    Raises:
        SettingError: if they have no range in common.
    """
    first = max(float(curve.x[0]) for curve in curves)
    last = min(float(curve.x[-1]) for curve in curves)
    if first > last:
        raise SettingError(
            f"curves: expected seeds that have places in common, got one that ends at {last:.0f} and one that begins "
            f"at {first:.0f}; draw them over x=episodes, or apart"
        )
    return first, last


def at_places(curves: Sequence[Curve], x: Floats, *, window: int) -> Floats:
    """Bring the moving means of all seeds to the same places: (seeds, points)."""
    return np.stack([np.interp(x, curve.x, moving_mean(curve.values, window)) for curve in curves])


def make_band(curves: Sequence[Curve], *, window: int) -> Band:
    """Bring the moving means of all seeds to the same places, where all of them have data, and summarise them there.

    Shapes:
        every array of the result: (points,).

    Raises:
        SettingError: if the seeds have no range in common.
    """
    x = np.linspace(*common_range(curves), _GRID_POINTS)
    means = at_places(curves, x, window=window)
    found = estimate_iqm([means])
    if len(curves) >= MIN_BOOTSTRAP_SEEDS:
        return Band(x, found.value, found.low, found.high, BOOTSTRAP)
    kind = RANGE if len(curves) > 1 else ""
    return Band(x, found.value, means.min(axis=0), means.max(axis=0), kind)
