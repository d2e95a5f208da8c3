"""Comparison of runs: their curves, environment by environment, and what each reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from velora.analysis.aggregates import Estimate, estimate_iqm
from velora.analysis.bands import Band, check_window, make_band, moving_mean
from velora.analysis.collection import Runs
from velora.analysis.comparison.grouping import Place, find_places, resolve
from velora.analysis.comparison.normalisation import TABLE, Scale, read_scales
from velora.analysis.comparison.series import SCORES, Series, read_series
from velora.analysis.find import find_runs
from velora.analysis.palette import MOST_CURVES
from velora.analysis.rows import Rows
from velora.analysis.run import EVALUATION, RETURN
from velora.analysis.statistics import Floats, interquartile_mean
from velora.analysis.table import as_lines, number
from velora.core.errors import RunDirectoryError


@dataclass(frozen=True)
class Cell:
    """Seeds of one curve in one panel.

    Attributes:
        curve, panel: their names.
        environment: the Gymnasium id.
        series: of each seed.
        window: values in a moving mean.
    """

    curve: str
    panel: str
    environment: str
    series: tuple[Series, ...]
    window: int

    @property
    def n_seeds(self) -> int:
        """How many seeds there are; the same seed under other settings counts again."""
        return len(self.series)

    @cached_property
    def band(self) -> Band:
        """Interquartile mean along training."""
        return make_band(self.series, window=self.window)

    @cached_property
    def final(self) -> Floats:
        """Mean of each seed's last values, ``window`` of them, (seeds,)."""
        return np.array([moving_mean(one.values, self.window)[-1] for one in self.series])

    @cached_property
    def best(self) -> Floats:
        """Largest such mean that each seed ever had, over full windows where there is one, (seeds,)."""
        means = [moving_mean(one.values, self.window) for one in self.series]
        return np.array([own[min(self.window, len(own)) - 1 :].max() for own in means])

    @cached_property
    def estimates(self) -> tuple[Estimate, Estimate]:
        """Interquartile means of ``final`` and of ``best``."""
        return estimate_iqm([self.final]), estimate_iqm([self.best])


@dataclass(frozen=True)
class Comparison:
    """Runs beside each other.

    Attributes:
        runs: all that were compared.
        n_without: how many others there were, which haven't recorded the metric.
        places: where each belongs, in the order of ``runs``.
        curves: names of the curves, in their order; their places are their colours.
        panels: names of the panels.
        cells: by curve and panel; where a curve has no run in a panel there is none.
        metric: what is compared.
        x: what it is drawn over.
        window: values in a moving mean.
        scales: of every environment, if all are known; else empty.
        ranked: the curves again, those that end best first, by their rank averaged over the panels that they are in.
        unread: runs that have no metrics, since they have not begun, or none that can be read.
    """

    runs: Runs
    n_without: int
    places: tuple[Place, ...]
    curves: tuple[str, ...]
    panels: tuple[str, ...]
    cells: Mapping[tuple[str, str], Cell]
    metric: str
    x: str
    window: int
    scales: Mapping[str, Scale]
    ranked: tuple[str, ...]
    unread: Runs

    def __repr__(self) -> str:
        """Write a line for each curve and panel, as a prompt and a notebook show them."""
        rows = Rows(
            {
                "curve": cell.curve,
                "panel": cell.panel,
                "seeds": str(cell.n_seeds),
                "final": number(float(interquartile_mean(cell.final))),
                "best so far": number(float(interquartile_mean(cell.best))),
            }
            for cell in self.cells.values()
        )
        lead = f"{self.metric} over {self.x}, {len(self.runs)} runs; interquartile means over seeds"
        return "\n".join([lead, *as_lines(rows, rows.columns(), numbers=("seeds", "final", "best so far"))])

    @property
    def is_scored(self) -> bool:
        """Whether more is better of the metric, so that there are a best value and a winner."""
        return self.metric in SCORES

    @property
    def shown(self) -> tuple[str, ...]:
        """Names of the curves that are drawn, no more than there are colours, in their order."""
        return tuple(name for name in self.curves if name in self.ranked[:MOST_CURVES])

    @property
    def left_out(self) -> tuple[str, ...]:
        """Names of the curves that are in tables alone."""
        return self.ranked[MOST_CURVES:]

    def in_panel(self, panel: str) -> list[Cell]:
        """Return the cells of a panel, in the order of the curves."""
        return [cell for name in self.curves if (cell := self.cells.get((name, panel)))]

    def shared_panels(self, *curves: str) -> list[str]:
        """List the panels in which all of these curves have runs."""
        return [panel for panel in self.panels if all((curve, panel) in self.cells for curve in curves)]

    def finals(self, curve: str, panels: Sequence[str], *, is_normalised: bool = False) -> list[Floats]:
        """Return what a curve's seeds reached in the end, (seeds,) for each panel."""
        cells = [self.cells[curve, panel] for panel in panels]
        return [self.scales[cell.environment](cell.final) if is_normalised else cell.final for cell in cells]


def compare(
    *paths: str | Path,
    by: str | Sequence[str] | None = None,
    metric: str = RETURN,
    x: str = "steps",
    window: int = 10,
    where: str = "",
    normalise: str | Path | Mapping[str, tuple[float, float]] = TABLE,
) -> Comparison:
    """Compare the runs in and below some directories.

    Args:
        paths: run directories, or directories of runs, such as a sweep.
        by: what curves are told apart by: ``agent``, or settings by name. Runs that agree in it are seeds of one curve.
            ``None`` is everything in which runs differ.
        metric: ``return``, ``evaluation``, a loss such as ``critic/loss``, or a name that a callback logged.
        x: what curves are drawn over: ``steps``, ``episodes`` or ``seconds``.
        window: values in a moving mean, >= 1; evaluations are means already, and are taken one by one.
        where: which runs, as for :meth:`velora.analysis.Runs.where`; empty for all.
        normalise: see :func:`velora.analysis.comparison.normalisation.read_scales`.

    Raises:
        RunDirectoryError: if there is no run, or nothing in it yet.
        SettingError: if a setting is wrong, or nobody recorded the metric.
    """
    window = 1 if metric == EVALUATION else check_window(window)
    runs = find_runs(*paths)
    if where and not (runs := runs.where(where)):
        raise RunDirectoryError(f"where: no run below {', '.join(map(str, paths)) or 'here'} has {where}")
    named = resolve([by] if isinstance(by, str) else by, runs) if by else None
    series = read_series(runs, metric, x=x)
    with_data = Runs(run for run in runs if any(one.run is run for one in series))
    places = find_places(with_data, named)
    cells = _cells(with_data, places, series, window)
    scales = read_scales(normalise, (cell.environment for cell in cells.values()))
    ordered = [place.curve for place in sorted(places, key=lambda place: (place.order, place.curve))]
    curves = tuple(dict.fromkeys(ordered))
    panels = tuple(sorted({place.panel for place in places}))
    ranked = _ranked(cells, curves, panels) if metric in SCORES else curves
    unread = Runs(run for run in runs if not run.run_id)
    others = len(runs) - len(unread) - len(with_data)
    return Comparison(
        with_data, others, tuple(places), curves, panels, cells, metric, x, window, scales, ranked, unread
    )


def _cells(runs: Runs, places: Sequence[Place], series: Sequence[Series], window: int) -> dict[tuple[str, str], Cell]:
    found: dict[tuple[str, str], list[Series]] = {}
    for run, place in zip(runs, places, strict=True):
        found.setdefault((place.curve, place.panel), []).extend(one for one in series if one.run is run)
    return {
        (curve, panel): Cell(curve, panel, own[0].run.environment, tuple(own), window)
        for (curve, panel), own in found.items()
    }


def _ranked(cells: Mapping[tuple[str, str], Cell], curves: Sequence[str], panels: Sequence[str]) -> tuple[str, ...]:
    """Order curves by their rank in what their seeds reached in the end, averaged over panels; the best comes first."""
    ranks: dict[str, list[float]] = {}
    for panel in panels:
        here = [name for name in curves if (name, panel) in cells]
        ordered = sorted(here, key=lambda name: -float(interquartile_mean(cells[name, panel].final)))
        for rank, name in enumerate(ordered):
            ranks.setdefault(name, []).append(rank / len(here))
    return tuple(sorted(curves, key=lambda name: float(np.mean(ranks[name]))))
