"""Figures of a comparison: learning curves by environment, all environments together, profiles, who beats whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from velora.analysis import drawing
from velora.analysis.aggregates import Estimate, estimate_iqm, estimate_profile
from velora.analysis.bands import BOOTSTRAP, MIN_BOOTSTRAP_SEEDS, RANGE, Band, at_places, common_range
from velora.analysis.comparison.comparison import Cell, Comparison
from velora.analysis.comparison.series import AXES, find_series
from velora.analysis.comparison.table import averages, pairs, spread
from velora.analysis.comparison.words import values
from velora.analysis.palette import LIGHT
from velora.analysis.panels import WIDTH, Line, Panel
from velora.analysis.run import EVALUATION, RETURN
from velora.analysis.statistics import Floats

_POINTS = 150
_ROW, _LONGEST_ROW_NAME = 0.3, 28


def curve_panels(of: Comparison, *, with_seeds: bool = False) -> list[Panel]:
    """Make a panel of learning curves for each environment.

    Args:
        with_seeds: single seeds are drawn too, and their evaluations as circles. Two seeds always are.
    """
    return [
        Panel(panel, values(of), AXES[of.x], tuple(_line(of, cell, with_seeds) for cell in _drawn(of, panel)))
        for panel in of.panels
        if _drawn(of, panel)
    ]


def average_panel(of: Comparison) -> Panel | None:
    """Make a panel of normalised curves over all environments that the curves share; None if that makes no sense.

    It covers what the seeds of all of them have in common. Source: rliable's sample efficiency curves.
    """
    panels = of.shared_panels(*of.shown)
    if not of.is_scored or not of.scales or len(panels) < 2:
        return None
    cells = {name: [of.cells[name, panel] for panel in panels] for name in of.shown}
    ranges = [common_range(cell.series) for own in cells.values() for cell in own]
    first, last = max(low for low, _ in ranges), min(high for _, high in ranges)
    if first >= last:
        return None
    x = np.linspace(first, last, _POINTS)
    lines = []
    for name, own in cells.items():
        strata = [of.scales[cell.environment](at_places(cell.series, x, window=cell.window)) for cell in own]
        band = _band(x, estimate_iqm(strata), min(cell.n_seeds for cell in own))
        lines.append(Line(name, of.shown.index(name), band, sum(cell.n_seeds for cell in own)))
    return Panel(f"{len(panels)} environments together", "normalised score", AXES[of.x], tuple(lines))


def profile_panel(of: Comparison) -> Panel | None:
    """Make a panel of performance profiles of what seeds reached in the end; None where scores have no common scale."""
    panels = of.shared_panels(*of.shown)
    is_normalised = bool(of.scales) and len(of.panels) > 1
    if not of.is_scored or not panels or (len(panels) > 1 and not is_normalised):
        return None
    scores = {name: of.finals(name, panels, is_normalised=is_normalised) for name in of.shown}
    every = np.concatenate([values for own in scores.values() for values in own])
    margin = 0.03 * float(np.ptp(every)) or 1.0
    thresholds = np.linspace(every.min() - margin, every.max() + margin, _POINTS)
    lines = []
    for name, own in scores.items():
        band = _band(thresholds, estimate_profile(own, thresholds), min(map(len, own)), few="")
        lines.append(Line(name, of.shown.index(name), band, sum(map(len, own))))
    title = f"Performance profile, {panels[0] if len(panels) == 1 else f'{len(panels)} environments'}"
    across = "normalised score at the end" if is_normalised else f"{of.metric} at the end"
    return Panel(title, "share of seeds above", across, tuple(lines))


def improvement_figure(of: Comparison) -> Any | None:
    """Draw how probable it is that a seed of one curve ends above one of another; None with a single curve."""
    rows = [(_versus(p.first, p.second), of.shown.index(p.first), p.estimate) for p in pairs(of)]
    if not rows:
        return None
    return draw_intervals(
        rows,
        title="Which is better",
        below="probability that a seed ends above one of the other",
        limits=(0.0, 1.0),
        line=0.5,
    )


def average_figure(of: Comparison) -> Any | None:
    """Draw the normalised score of every curve over its environments; None where there is none."""
    rows = [(name, of.shown.index(name), own) for name, (_, own) in averages(of).items() if name in of.shown]
    if not rows:
        return None
    return draw_intervals(rows, title="Score over all environments", below="interquartile mean of normalised scores")


def draw_intervals(
    rows: Sequence[tuple[str, int, Estimate]],
    *,
    title: str,
    below: str,
    limits: tuple[float, float] | None = None,
    line: float | None = None,
) -> Any:
    """Draw numbers with their intervals, a row each, and write the numbers beside them.

    Args:
        rows: name, number of the colour, and what is drawn.
        title: above it.
        below: what the numbers are.
        limits: of the axis.
        line: where a line stands that says "neither".

    Raises:
        VeloraError: if matplotlib isn't installed.
    """
    top, bottom = 0.62, 0.34
    row = _ROW + 0.15 * max(name.count("\n") for name, *_ in rows)
    high = top + bottom + row * len(rows)
    figure = drawing.make_figure(WIDTH, high)
    written = [spread(own).replace("-", "\N{MINUS SIGN}") for _, _, own in rows]
    left, right = (drawing.text_width(figure, names) + 0.2 for names in ([name for name, *_ in rows], written))
    axes = figure.add_axes((left / WIDTH, bottom / high, 1 - (left + right) / WIDTH, row * len(rows) / high))
    drawing.dress(axes, title=title, below=below, across="", left=left)
    for y, ((_, colour, own), text) in enumerate(zip(rows, written, strict=True)):
        ink = LIGHT.series[colour]
        if own.has_interval:
            drawing.mark(axes.plot([own.low, own.high], [y, y], color=ink, linewidth=5, alpha=0.3)[0], colour)
        drawing.mark(axes.plot([own.value], [y], "o", color=ink, markersize=6, clip_on=False)[0], colour)
        place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        axes.annotate(text, (1, y), (8, 0), fontsize=drawing.TEXT, color=LIGHT.ink, va="center", **place)
    if line is not None:
        axes.axvline(line, color=LIGHT.muted, linewidth=1)
    axes.set_yticks(range(len(rows)), [name for name, *_ in rows], color=LIGHT.ink)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    if limits:
        axes.set_xlim(limits)
    return figure


def _versus(first: str, second: str) -> str:
    name = f"{first} > {second}"
    return name if len(name) <= _LONGEST_ROW_NAME else f"{first}\n> {second}"


def note(of: Comparison) -> str:
    """Write the caption: the meaning of lines and bands, and the number of curves if not all are drawn."""
    kinds = {cell.band.kind for cell in of.cells.values()}
    counts = sorted({cell.n_seeds for cell in of.cells.values()})
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    middle = "one seed" if counts == [1] else f"interquartile mean of {seeds} seeds"
    named = [kind for kind in (BOOTSTRAP, RANGE) if kind in kinds]
    bands = f" Band: {' or '.join(named)}." if named else ""
    drawn = f" {len(of.shown)} of {len(of.curves)} curves." if of.left_out else ""
    return f"Line: {middle}.{bands}{drawn}"


def _drawn(of: Comparison, panel: str) -> list[Cell]:
    return [cell for cell in of.in_panel(panel) if cell.curve in of.shown]


def _line(of: Comparison, cell: Cell, with_seeds: bool) -> Line:
    singly = 1 < cell.n_seeds < MIN_BOOTSTRAP_SEEDS or (with_seeds and cell.n_seeds > 1)
    marks = _evaluations(cell, of.x) if with_seeds and of.metric == RETURN else None
    number = of.shown.index(cell.curve)
    return Line(cell.curve, number, cell.band, cell.n_seeds, cell.series if singly else (), cell.window, marks)


def _evaluations(cell: Cell, x: str) -> tuple[Floats, Floats] | None:
    runs = list({id(one.run): one.run for one in cell.series}.values())
    found = find_series(runs, EVALUATION, x=x)
    return (np.concatenate([one.x for one in found]), np.concatenate([one.values for one in found])) if found else None


def _band(x: Floats, found: Estimate, fewest: int, few: str = RANGE) -> Band:
    """Make a band of an estimate; ``few`` is the kind of one that too few seeds are behind."""
    kind = BOOTSTRAP if found.has_interval and fewest >= MIN_BOOTSTRAP_SEEDS else few if found.has_interval else ""
    return Band(x, found.value, found.low, found.high, kind)
