"""Draw learning curves: the return of every seed against its steps, and how sure one can be of their mean.

matplotlib, the extra ``plot``, is needed for drawing only and is imported when a figure is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from velora.analysis.runs import SeedCurve, load_curves
from velora.analysis.statistics import Floats, bootstrap_interval
from velora.core.errors import SettingError, VeloraError

MIN_BOOTSTRAP_SEEDS = 3
_GRID_POINTS = 300
_BOOTSTRAP, _RANGE, _EPISODES, _EVALUATION = _NOTES = (
    "95 % bootstrap interval",
    "min to max",
    "episodes",
    "evaluation",
)
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette: told apart with any colour vision, and in grey."""
_LINES = ("-", "--", ":", "-.")
"""What tells curves apart when the colours have been through."""


@dataclass(frozen=True, slots=True)
class Band:
    """Mean over seeds and the band around it. Shapes: (points,) each.

    ``kind`` says what the band is; it is empty for a single seed, which has none.
    """

    steps: Floats
    mean: Floats
    low: Floats
    high: Floats
    kind: str


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


def make_band(curves: Sequence[SeedCurve], *, window: int) -> Band:
    """Bring the moving means of all seeds to the same steps, where all of them have data, and summarise them there.

    Shapes:
        every array of the result: (points,).

    Raises:
        SettingError: if the seeds have no range of steps in common.
    """
    first = max(float(curve.steps[0]) for curve in curves)
    last = min(float(curve.steps[-1]) for curve in curves)
    if first > last:
        raise SettingError(
            f"curves: expected seeds with steps in common, got one that ends at {last:.0f} and one that begins at "
            f"{first:.0f}; plot them apart"
        )
    steps = np.linspace(first, last, _GRID_POINTS)
    means = np.stack([np.interp(steps, curve.steps, moving_mean(curve.returns, window)) for curve in curves])
    mean = means.mean(axis=0)
    if len(curves) >= MIN_BOOTSTRAP_SEEDS:
        low, high = bootstrap_interval(means)
        return Band(steps, mean, low, high, _BOOTSTRAP)
    kind = _RANGE if len(curves) > 1 else ""
    return Band(steps, mean, means.min(axis=0), means.max(axis=0), kind)


def plot_runs(
    paths: Sequence[str | Path], out: str | Path, *, window: int = 10, title: str | None = None, dpi: int = 150
) -> Path:
    """Draw the learning curves of runs into a picture.

    Thin lines are single seeds, the thick one is their mean, both as moving means; the band around it is a 95 %
    bootstrap interval of the mean from three seeds on, and the range below that (the legend says which); circles are
    evaluations. Runs that differ in nothing but their seed are seeds of one curve; else its label says what differs.

    Args:
        paths: run directories, their ``metrics.db``, or directories of runs. A run may still be going on.
        out: the picture; its suffix chooses the format (``.png``, ``.svg``, ``.pdf``).
        window: episodes in a moving mean, >= 1.
        title: above the picture.
        dpi: pixels per inch of a ``.png``.

    Returns:
        ``out`` as a path.

    Raises:
        RunDirectoryError: if there is nothing to draw.
        SettingError: if ``window`` isn't a whole number >= 1, or seeds of one curve share no steps.
        VeloraError: if matplotlib isn't installed, or the picture can't be written.
    """
    if isinstance(window, bool) or not isinstance(window, int) or window < 1:
        raise SettingError(f"window: expected a whole number >= 1, got {window!r}")
    figure = _make_figure()
    axes = figure.add_subplot()
    for i, (label, curves) in enumerate(load_curves(paths).items()):
        line = _LINES[i // len(_COLOURS) % len(_LINES)]
        _draw_group(axes, label, curves, window=window, colour=_COLOURS[i % len(_COLOURS)], line=line)
    _label(axes, window=window, title=title)
    target = Path(out)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(target, dpi=dpi)
    except (OSError, ValueError) as error:
        raise VeloraError(f"{target}: the picture can't be written ({error}); choose another path or format") from error
    return target


def _make_figure() -> Any:
    """Make an empty figure that needs no display.

    Raises:
        VeloraError: if matplotlib isn't installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise VeloraError(
            "curves: matplotlib isn't installed; install it, or the extra plot (pip install -e '.[plot]' in a checkout)"
        ) from error
    figure = Figure(figsize=(8, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _draw_group(axes: Any, label: str, curves: Sequence[SeedCurve], *, window: int, colour: str, line: str) -> None:
    """Draw the seeds of one curve, their mean, its band, and the evaluations."""
    band = make_band(curves, window=window)
    summary = f"mean of {len(curves)} seeds" if len(curves) > 1 else f"moving mean of {window} episodes"
    axes.plot(band.steps, band.mean, line, color=colour, linewidth=2.2, zorder=3, label=f"{label}: {summary}")
    thin = {"color": colour, "alpha": 0.35, "linewidth": 0.8}
    if band.kind:
        for curve in curves:
            axes.plot(curve.steps, moving_mean(curve.returns, window), **thin)
        axes.fill_between(band.steps, band.low, band.high, color=colour, alpha=0.18, linewidth=0, label=band.kind)
    else:
        axes.plot(curves[0].steps, curves[0].returns, **thin, label=_EPISODES)
    steps = np.concatenate([curve.evaluation_steps for curve in curves])
    if steps.size:
        means = np.concatenate([curve.evaluation_means for curve in curves])
        axes.scatter(steps, means, s=22, facecolors="none", edgecolors=colour, linewidths=1.1, label=_EVALUATION)


def tick(value: float) -> str:
    """Write the number beside a tick, with separators between thousands and a proper minus.

    Example:
        >>> tick(-1500.0), tick(20000.0), tick(0.25), tick(0.1 + 0.2)
        ('\N{MINUS SIGN}1,500', '20,000', '0.25', '0.3')
    """
    return f"{round(value, 10) + 0.0:,.10g}".replace("-", "\N{MINUS SIGN}")


def _label(axes: Any, *, window: int, title: str | None) -> None:
    """Name the axes, and take away what carries no information."""
    axes.set_xlabel("environment steps per seed")
    axes.set_ylabel(f"return of an episode (mean of {window})" if window > 1 else "return of an episode")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: tick(value))
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    entries: dict[str, Any] = {}
    for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
        entries.setdefault(label, handle)  # what bands and circles are is said once, after the curves
    labels = sorted(entries, key=lambda label: label in _NOTES)
    axes.legend([entries[label] for label in labels], labels, frameon=False, fontsize=9)
    if title:
        axes.set_title(title, loc="left", fontweight="bold")
