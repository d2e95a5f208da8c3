"""Tables of a comparison: for people, as Markdown, and as CSV with every digit."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

from velora.analysis.aggregates import Estimate, Scores, estimate_improvement, estimate_iqm
from velora.analysis.comparison.comparison import Comparison
from velora.analysis.rows import Rows
from velora.analysis.run import RETURN
from velora.analysis.table import as_lines, as_markdown, cell, number

MOST_PAIRED: Final = 4


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a table for people; the first ``n_names`` columns are names, the others numbers."""

    rows: Rows
    n_names: int

    @property
    def columns(self) -> list[str]:
        """Heads of the columns."""
        return self.rows.columns()

    def texts(self) -> list[list[str]]:
        """Return the text of every cell, row by row."""
        return [[cell(column, row.get(column)) for column in self.columns] for row in self.rows]

    def lines(self, width: int | None = None) -> list[str]:
        """Write it in aligned columns, of so many letters at most."""
        return as_lines(self.rows, self.columns, width=width, spare=_SPARE, numbers=self.columns[self.n_names :])

    def markdown(self) -> list[str]:
        """Write it as Markdown."""
        return as_markdown(self.rows, self.columns, numbers=self.columns[self.n_names :])


_SPARE: Final = ("time", "steps", "normalised", "best so far")


@dataclass(frozen=True, slots=True)
class Pair:
    """How probable it is that a seed of ``first`` ends above one of ``second``, in panels that both have."""

    first: str
    second: str
    n_panels: int
    estimate: Estimate


def results(of: Comparison) -> Rows:
    """List what every curve reached in every panel: numbers, NaN where there is no interval."""
    rows = Rows()
    for panel in of.panels:
        for own in of.in_panel(panel):
            final, best = own.estimates
            row: dict[str, Any] = {"environment": panel, "curve": own.curve, "seeds": own.n_seeds}
            row |= _numbers("final", final)
            if of.is_scored:
                row |= _numbers("best", best)
            if of.is_scored and own.environment in of.scales:
                row["normalised"] = float(estimate_iqm([of.scales[own.environment](own.final)]).value)
            row["steps"] = max(one.run.n_steps for one in own.series)
            row["time"] = max(one.run.seconds for one in own.series)
            rows.append(row)
    return rows


def averages(of: Comparison) -> dict[str, tuple[list[str], Estimate]]:
    """Return each curve's normalised interquartile mean over the panels that it is in, where there are several."""
    found = {}
    for curve in of.curves if of.is_scored and of.scales and len(of.panels) > 1 else ():
        panels = of.shared_panels(curve)
        found[curve] = panels, estimate_iqm(of.finals(curve, panels, is_normalised=True))
    return found


def pairs(of: Comparison) -> list[Pair]:
    """Compare two curves at a time by their seeds in the panels that both have; the probably better one comes first.

    Of a few curves it is every two, of more than :data:`MOST_PAIRED` the best with every other that is drawn.
    """
    best_first = [name for name in of.ranked if name in of.shown] if of.is_scored else []
    couples = list(combinations(best_first, 2))
    found = []
    for first, second in couples if len(best_first) <= MOST_PAIRED else couples[: len(best_first) - 1]:
        if panels := of.shared_panels(first, second):
            ours, theirs = of.finals(first, panels), of.finals(second, panels)
            pair = Pair(first, second, len(panels), estimate_improvement(ours, theirs))
            found.append(pair if pair.estimate.value >= 0.5 else _turned(pair, ours, theirs))
    return found


def results_table(of: Comparison) -> Table:
    """Write :func:`results` for people, without columns that say nothing."""
    rows = Rows()
    for row in results(of):
        final, best = of.cells[row["curve"], row["environment"]].estimates
        shown = {"environment": row["environment"]} if len(of.panels) > 1 else {}
        shown |= {"curve": row["curve"], "seeds": row["seeds"], "final": spread(final)}
        if of.is_scored:
            shown["best so far"] = spread(best)
        if of.is_scored and of.scales and len(of.panels) > 1:
            shown["normalised"] = number(row["normalised"])
        rows.append({**shown, "steps": row["steps"], "time": row["time"]})
    return Table(rows, n_names=1 if len(of.panels) == 1 else 2)


def averages_table(of: Comparison) -> Table:
    """Write :func:`averages` for people."""
    found = averages(of).items()
    rows = ({"curve": name, "environments": len(at), "normalised score": spread(own)} for name, (at, own) in found)
    return Table(Rows(rows), n_names=1)


def pairs_table(of: Comparison) -> Table:
    """Write :func:`pairs` for people."""
    return Table(
        Rows(
            {
                "which is better": f"{pair.first} > {pair.second}",
                "environments": pair.n_panels,
                "probability": spread(pair.estimate),
            }
            for pair in pairs(of)
        ),
        n_names=1,
    )


def runs_table(of: Comparison) -> Table:
    """List the runs with the settings in which they differ, and no others."""
    names = of.runs.differing()
    columns = ("run", "agent", "env", *names, "status", "seeds", RETURN)
    rows = Rows({name: row[name] for name in columns} for row in of.runs.rows())
    return Table(rows, n_names=4 + len(names))


def spread(estimate: Estimate) -> str:
    """Write a number with its interval, if there is one.

    Example:
        >>> import numpy as np
        >>> spread(Estimate(np.array(2.0), np.array(-1.5), np.array(4.25)))
        '2 [-1.5, 4.25]'
    """
    value, low, high = (number(float(one)) for one in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]" if estimate.has_interval else value


def _numbers(name: str, estimate: Estimate) -> dict[str, float]:
    return {name: float(estimate.value), f"{name}_low": float(estimate.low), f"{name}_high": float(estimate.high)}


def _turned(pair: Pair, ours: Scores, theirs: Scores) -> Pair:
    return Pair(pair.second, pair.first, pair.n_panels, estimate_improvement(theirs, ours))
