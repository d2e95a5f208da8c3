"""Panels of curves: lines with bands and their names beside them, one panel a figure or several in one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from velora.analysis import drawing
from velora.analysis.bands import Band, Curve, moving_mean
from velora.analysis.palette import LIGHT
from velora.analysis.statistics import Floats

WIDTH, HEIGHT = 5.2, 3.3
"""Inches of a panel, its text included."""
_LEFT, _TOP, _BOTTOM, _GAP = 0.62, 0.5, 0.5, 0.12
_LONGEST_LABEL: Final = 20
_LINE_HEIGHT: Final = 1.25 * drawing.TEXT
_TITLE: Final = drawing.TEXT + 4


@dataclass(frozen=True, slots=True)
class Line:
    """One curve of a panel.

    Attributes:
        name: of the curve.
        curve: its number, which is its colour.
        band: what is drawn.
        n_seeds: how many seeds it is made of.
        seeds: single ones, drawn thin; their values are smoothed over ``window``.
        window: values in a moving mean of single seeds.
        marks: places and values of single points, such as evaluations.
    """

    name: str
    curve: int
    band: Band
    n_seeds: int
    seeds: Sequence[Curve] = ()
    window: int = 1
    marks: tuple[Floats, Floats] | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves that share their axes.

    Attributes:
        title: what is shown.
        below: meaning of the vertical axis.
        across: meaning of the horizontal axis.
        lines: the curves.
    """

    title: str
    below: str
    across: str
    lines: tuple[Line, ...]


def draw_alone(panel: Panel) -> Any:
    """Draw one panel into a figure of its own.

    Raises:
        VeloraError: if matplotlib isn't installed.
    """
    return draw_together([panel], note="", margin=0.0)


def draw_together(
    panels: Sequence[Panel],
    *,
    note: str,
    title: str = "",
    n_columns: int = 3,
    margin: float = 0.15,
    size: tuple[float, float] = (WIDTH, HEIGHT),
) -> Any:
    """Draw panels into one figure, row by row.

    Args:
        note: below all of them, in as many lines as it needs; empty for none.
        title: above all of them, likewise.
        n_columns: at most.
        margin: inches around everything.
        size: inches of a panel, its text included: width and height.

    Raises:
        VeloraError: if matplotlib isn't installed.
    """
    columns = min(n_columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    wide = columns * size[0] + 2 * margin
    figure = drawing.make_figure(wide, rows * size[1])
    title = drawing.broken(figure, title, wide - 2 * margin, size=_TITLE, weight="bold")
    above = margin + (0.4 + 1.25 * _TITLE / 72 * title.count("\n") if title else 0.0)
    note = drawing.broken(figure, note, wide - 2 * margin)
    under = margin + (0.13 + _LINE_HEIGHT / 72 * (note.count("\n") + 1) if note else 0.0)
    high = rows * size[1] + above + under
    figure.set_size_inches(wide, high)
    names = [_wrapped(line.name) for panel in panels for line in panel.lines]
    right = drawing.text_width(figure, names) + 2 * _GAP
    for i, panel in enumerate(panels):
        left, bottom = margin + (i % columns) * size[0], under + (rows - 1 - i // columns) * size[1]
        across, up = size[0] - _LEFT - right, size[1] - _TOP - _BOTTOM
        box = ((left + _LEFT) / wide, (bottom + _BOTTOM) / high, across / wide, up / high)
        _draw(figure.add_axes(box), panel, height=72 * up)
    if note:
        figure.text(margin / wide, margin / high, note, fontsize=drawing.TEXT, linespacing=1.25, color=LIGHT.muted)
    if title:
        place = {"fontsize": _TITLE, "fontweight": "bold", "color": LIGHT.ink, "va": "top", "linespacing": 1.25}
        figure.text(margin / wide, 1 - margin / high, title, **place)
    return figure


def numbers(panel: Panel, figure: Any) -> dict[str, Any]:
    """Return what a page needs to say the values below a pointer: where the axes lie, and the curves.

    Args:
        panel: what was drawn.
        figure: into what :func:`draw_alone` drew it.
    """
    axes = figure.axes[0]
    box, high = axes.get_position(), figure.get_figheight()
    width, height = figure.get_figwidth() * 72, high * 72
    return {
        "box": [box.x0 * width, (1 - box.y1) * height, box.x1 * width, (1 - box.y0) * height],
        "xlim": list(axes.get_xlim()),
        "ylim": list(axes.get_ylim()),
        "across": panel.across,
        "curves": [
            {
                "curve": line.curve,
                "name": line.name,
                "seeds": line.n_seeds,
                "from": float(line.band.x[0]),
                "to": float(line.band.x[-1]),
                "middle": _short(line.band.middle),
                "low": _short(line.band.low) if line.band.kind else None,
                "high": _short(line.band.high) if line.band.kind else None,
            }
            for line in panel.lines
        ],
    }


def spread_out(wanted: Sequence[float], heights: Sequence[float], room: float) -> list[float]:
    """Move labels no further than needed so that none overlaps another, within ``[0, room]`` if they fit.

    Labels that touch move together, to where the sum of squared distances is smallest.

    Args:
        wanted: middles of the labels.
        heights: of the labels.
        room: up to where they may reach.

    Example:
        >>> spread_out([5.0, 5.0, 40.0], [10.0, 10.0, 10.0], 100.0)
        [5.0, 15.0, 40.0]
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    groups: list[tuple[list[int], float]] = []  # members from below, and the group's lower edge
    for i in order:
        members, edge = [i], _edge([i], wanted, heights, room)
        while groups and groups[-1][1] + sum(heights[j] for j in groups[-1][0]) > edge:
            members = groups.pop()[0] + members
            edge = _edge(members, wanted, heights, room)
        groups.append((members, edge))
    placed = [0.0] * len(wanted)
    for members, edge in groups:
        for i in members:
            placed[i] = edge + heights[i] / 2
            edge += heights[i]
    return placed


def _edge(members: Sequence[int], wanted: Sequence[float], heights: Sequence[float], room: float) -> float:
    """Return the lower edge of labels stacked upon each other that lies best."""
    below = np.cumsum([0.0, *(heights[i] for i in members)])
    offsets = [wanted[i] - below[k] - heights[i] / 2 for k, i in enumerate(members)]
    return float(max(0.0, min(np.mean(offsets), room - below[-1])))


def _draw(axes: Any, panel: Panel, *, height: float) -> None:
    """Draw a panel into axes that are ``height`` points high."""
    drawing.dress(axes, title=panel.title, below=panel.below, across=panel.across, left=_LEFT)
    for line in panel.lines:
        for artist in _artists(axes, line):
            drawing.mark(artist, line.curve)
    axes.margins(x=0.0, y=0.06)
    _name_lines(axes, panel.lines, height)


def _artists(axes: Any, line: Line) -> list[Any]:
    colour, band = LIGHT.series[line.curve], line.band
    drawn = []
    for one in line.seeds:
        values = moving_mean(one.values, line.window)
        drawn += axes.plot(one.x, values, color=colour, alpha=0.35, linewidth=0.8)
    if band.kind:
        drawn.append(axes.fill_between(band.x, band.low, band.high, color=colour, alpha=0.18, linewidth=0))
    if line.marks is not None:
        style = {"s": 16, "facecolors": "none", "edgecolors": colour, "linewidths": 0.9, "clip_on": False, "zorder": 3}
        drawn.append(axes.scatter(*line.marks, **style))
    if band.x[0] == band.x[-1]:  # a single point, such as the only evaluation of each seed
        drawn += axes.plot(band.x[:2], [band.low[0], band.high[0]], color=colour, alpha=0.35, linewidth=4)
        return [*drawn, *axes.plot(band.x[:1], band.middle[:1], "o", color=colour)]
    return [*drawn, *axes.plot(band.x, band.middle, color=colour, linewidth=2.0)]


def _name_lines(axes: Any, lines: Sequence[Line], height: float) -> None:
    """Write the name of every curve beside its end."""
    low, high = axes.get_ylim()
    names = [_wrapped(line.name) for line in lines]
    wanted = [height * (float(line.band.middle[-1]) - low) / (high - low) for line in lines]
    heights = [_LINE_HEIGHT * (name.count("\n") + 1) for name in names]
    placed = spread_out(wanted, heights, height) if lines else []
    for line, name, y in zip(lines, names, placed, strict=True):
        style = {"fontsize": drawing.TEXT, "color": LIGHT.series[line.curve], "va": "center", "linespacing": 1.1}
        place = {"xycoords": "axes fraction", "textcoords": "offset points"}
        drawing.mark(axes.annotate(name, (1.0, y / height), (6, 0), **place, **style), line.curve)


def _wrapped(name: str) -> str:
    """Write a name in lines of at most so many letters, three at most; the rest is cut off."""
    lines: list[str] = []
    for part in name.split(", "):
        if lines and len(lines[-1]) + len(part) + 2 <= _LONGEST_LABEL:
            lines[-1] += f", {part}"
        else:
            lines.append(part)
    cut = [line if len(line) <= _LONGEST_LABEL else f"{line[: _LONGEST_LABEL - 1]}…" for line in lines[:3]]
    return "\n".join([*cut[:2], f"{cut[2]} …"] if len(lines) > 3 else cut)


def _short(values: Floats) -> list[float]:
    return [float(f"{value:.5g}") for value in values]
