"""The picture of a circuit as pixels, by matplotlib: the same places and curves as in the SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.analysis.drawing import make_figure
from velora.analysis.palette import LIGHT
from velora.analysis.wiring_places import WIDTH, Places, bulge, laid_out, opacity, radius

_TEXT = {"fontsize": 11}


def figure(
    sizes: Mapping[str, int],
    synapses: Mapping[tuple[str, str], NDArray[np.float64]],
    *,
    names: Sequence[str],
    note: str,
    has_signs: bool,
) -> Any:
    """Draw a circuit; see :class:`velora.analysis.wiring.Circuit` for what the arguments mean.

    Raises:
        VeloraError: if matplotlib isn't installed.
    """
    places, whole = laid_out(sizes)
    made = make_figure(WIDTH / 72, whole / 72)
    axes = made.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(whole, 0))
    axes.set_axis_off()
    colours = {name: LIGHT.series[at % len(LIGHT.series)] for at, name in enumerate(sizes)}
    for (source, target), array in synapses.items():
        style: dict[str, Any] = {"edgecolor": colours[source], "alpha": opacity(array), "fill": False, "linewidth": 1.1}
        for i, j in np.argwhere(array != 0).tolist():
            line = "--" if has_signs and array[i, j] < 0 else "-"
            ends = places[source][i], places[target][j]
            axes.add_patch(_way(*ends, is_inside=source == target, linestyle=line, **style))
    for name, own in places.items():
        _neurons(axes, name, own, colours[name])
    for text, (x, y) in zip(names, next(iter(places.values())), strict=False):
        axes.text(x - 12, y, text, ha="right", va="center", color=LIGHT.muted, **_TEXT)
    axes.text(WIDTH / 2, whole - 14, note, ha="center", color=LIGHT.muted, **_TEXT)
    return made


def _way(start: tuple[float, float], end: tuple[float, float], *, is_inside: bool, **style: Any) -> Any:
    """Make the curve of a synapse."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    (x, y), (u, v) = start, end
    if not is_inside:
        points, codes = [(x, y), ((x + u) / 2, y), ((x + u) / 2, v), (u, v)], [Path.MOVETO, *[Path.CURVE4] * 3]
    elif y == v:  # a neuron onto itself
        points, codes = [(x, y), (x + 14, y - 16), (x + 26, y), (x, y)], [Path.MOVETO, *[Path.CURVE4] * 3]
    else:
        points, codes = [(x, y), (x + bulge(y, v), (y + v) / 2), (u, v)], [Path.MOVETO, *[Path.CURVE3] * 2]
    return PathPatch(Path(points, codes), **style)


def _neurons(axes: Any, name: str, places: Places, colour: str) -> None:
    if places:
        size = (2 * radius(places)) ** 2
        axes.scatter(*zip(*places, strict=True), s=size, color=colour, edgecolors=LIGHT.paper, zorder=3)
        axes.text(places[0][0], 20, name, ha="center", color=LIGHT.ink, **_TEXT)
        axes.text(places[0][0], 37, str(len(places)), ha="center", color=LIGHT.muted, **_TEXT)
