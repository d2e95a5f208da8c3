"""Draw learning curves: the return of every seed against its steps, and how sure one can be of their mean.

matplotlib is needed for drawing only (``pip install 'velora[plot]'``) and is imported when a figure is made.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from velora.analysis.statistics import Floats, bootstrap_interval
from velora.core.errors import RunDirectoryError, SettingError, VeloraError
from velora.metrics import DATABASE_NAME, queries

logger = logging.getLogger(__name__)

MIN_BOOTSTRAP_SEEDS = 3
_GRID_POINTS = 300
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette: told apart with any colour vision, and in grey."""


@dataclass(frozen=True, slots=True)
class SeedCurve:
    """Hold what one seed reached: (steps, returns) of its episodes, and of its evaluations."""

    steps: Floats
    returns: Floats
    evaluation_steps: Floats
    evaluation_means: Floats


@dataclass(frozen=True, slots=True)
class Band:
    """Hold the mean over seeds and the band around it. Shapes: (points,) each.

    ``kind`` says what the band is; it is empty for a single seed, which has none.
    """

    steps: Floats
    mean: Floats
    low: Floats
    high: Floats
    kind: str


def find_databases(paths: Sequence[str | Path]) -> list[Path]:
    """Find the stores below some paths: a run directory has one, a directory of runs (a sweep) has many.

    Raises:
        RunDirectoryError: if there is none below one of them.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        here = [path] if path.is_file() else sorted(path.rglob(DATABASE_NAME))
        if not here:
            raise RunDirectoryError(f"{path}: expected a run directory with {DATABASE_NAME}, found none in or below it")
        found.extend(here)
    return found


def load_curves(paths: Sequence[str | Path]) -> dict[str, list[SeedCurve]]:
    """Read every seed of every run below some paths, grouped by agent and environment.

    Episodes whose return isn't finite are left out, and counted in the log.

    Raises:
        RunDirectoryError: if there is no store, or no finished episode in any.
    """
    groups: dict[str, list[SeedCurve]] = {}
    for database in find_databases(paths):
        for run in queries.experiments(database):
            for seed in run.seeds:
                if curve := _load_seed(database, run.run_id, seed):
                    groups.setdefault(f"{run.agent} on {run.environment}", []).append(curve)
    if not groups:
        raise RunDirectoryError(f"{', '.join(map(str, paths))}: expected finished episodes, found none; train first")
    return groups


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
        return Band(steps, mean, low, high, "95 % bootstrap interval")
    kind = "min to max" if len(curves) > 1 else ""
    return Band(steps, mean, means.min(axis=0), means.max(axis=0), kind)


def plot_runs(
    paths: Sequence[str | Path], out: str | Path, *, window: int = 10, title: str | None = None, dpi: int = 150
) -> Path:
    """Draw the learning curves of runs into a picture.

    Thin lines are single seeds, the thick one is their mean, both as moving means; the band around it is a 95 %
    bootstrap interval of the mean from three seeds on, and the range below that (the legend says which); circles are
    evaluations. Runs of the same agent and environment are seeds of one curve.

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
        _draw_group(axes, label, curves, window=window, colour=_COLOURS[i % len(_COLOURS)])
    _label(axes, window=window, title=title)
    target = Path(out)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(target, dpi=dpi)
    except (OSError, ValueError) as error:
        raise VeloraError(f"{target}: the picture can't be written ({error}); choose another path or format") from error
    return target


def _load_seed(database: Path, run_id: str, seed: int) -> SeedCurve | None:
    """Read one seed; None if it has finished no episode."""
    steps, returns = queries.learning_curve(database, run_id=run_id, seed=seed)
    finite = np.isfinite(returns)
    if not finite.all():
        logger.warning("%s: %d episodes of seed %d have no finite return", database, (~finite).sum(), seed)
    if not finite.any():
        return None
    rounds = queries.evaluations(database, run_id=run_id, seed=seed)
    return SeedCurve(
        steps=steps[finite].astype(np.float64),
        returns=returns[finite],
        evaluation_steps=np.array([r.step for r in rounds], dtype=np.float64),
        evaluation_means=np.array([r.mean for r in rounds], dtype=np.float64),
    )


def _make_figure() -> Any:
    """Make an empty figure that needs no display.

    Raises:
        VeloraError: if matplotlib isn't installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise VeloraError("curves: matplotlib isn't installed; install it with: pip install 'velora[plot]'") from error
    figure = Figure(figsize=(8, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _draw_group(axes: Any, label: str, curves: Sequence[SeedCurve], *, window: int, colour: str) -> None:
    """Draw one agent on one environment: seeds, mean, band, evaluations."""
    band = make_band(curves, window=window)
    summary = f"mean of {len(curves)} seeds" if len(curves) > 1 else f"moving mean of {window} episodes"
    axes.plot(band.steps, band.mean, color=colour, linewidth=2.2, zorder=3, label=f"{label}: {summary}")
    thin = {"color": colour, "alpha": 0.35, "linewidth": 0.8}
    if band.kind:
        for curve in curves:
            axes.plot(curve.steps, moving_mean(curve.returns, window), **thin)
        axes.fill_between(band.steps, band.low, band.high, color=colour, alpha=0.18, linewidth=0, label=band.kind)
    else:
        axes.plot(curves[0].steps, curves[0].returns, **thin, label="episodes")
    steps = np.concatenate([curve.evaluation_steps for curve in curves])
    if steps.size:
        means = np.concatenate([curve.evaluation_means for curve in curves])
        axes.scatter(steps, means, s=22, facecolors="none", edgecolors=colour, linewidths=1.1, label="evaluation")


def _label(axes: Any, *, window: int, title: str | None) -> None:
    """Name the axes, and take away what carries no information."""
    axes.set_xlabel("environment steps per seed")
    axes.set_ylabel(f"return of an episode (mean of {window})" if window > 1 else "return of an episode")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    if title:
        axes.set_title(title, loc="left", fontweight="bold")
