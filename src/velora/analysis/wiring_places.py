"""Where the neurons of a circuit lie in its picture, however that is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Places: TypeAlias = list[tuple[float, float]]
"""Of the neurons of a layer, across and down."""
WIDTH: Final = 680
TOP: Final = 52
BOTTOM: Final = 40
SIDE: Final = 70
LEAST_HEIGHT: Final = 240
"""Of the part with the neurons."""
GAPS: Final = (7.0, 26.0)
"""The least and largest distance between two neurons of a layer."""


def laid_out(sizes: Mapping[str, int]) -> tuple[dict[str, Places], int]:
    """Place all neurons; return their places by layer, and the height of the picture."""
    height = max(LEAST_HEIGHT, round(GAPS[0] * max(sizes.values())))
    columns = enumerate(sizes.items())
    return {name: _column(at, n, len(sizes), height) for at, (name, n) in columns}, height + TOP + BOTTOM


def _column(at: int, n: int, n_layers: int, height: int) -> Places:
    """Place the neurons of a layer below each other, around the middle."""
    x = SIDE + 40 + at * (WIDTH - 2 * SIDE - 40) / max(n_layers - 1, 1)
    gap = min(GAPS[1], height / max(n, 1))
    return [(x, TOP + height / 2 + (i - (n - 1) / 2) * gap) for i in range(n)]


def opacity(array: NDArray[np.float64]) -> float:
    """Let many synapses be fainter."""
    return float(min(0.75, max(0.22, 12 / max(1.0, float(np.count_nonzero(array)) ** 0.5))))


def bulge(y: float, v: float) -> float:
    """Return how far a way inside a layer goes aside: there to the right, back to the left."""
    return 16 + abs(v - y) / 3 if v > y else -16 - abs(v - y) / 3


def radius(places: Places) -> float:
    """Return the radius of a layer's neurons."""
    gap = places[1][1] - places[0][1] if len(places) > 1 else GAPS[1]
    return max(2.5, min(7.0, gap * 0.36))
