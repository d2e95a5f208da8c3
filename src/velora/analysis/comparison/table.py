"""Tables of a comparison: for people, as Markdown, and as CSV with every digit."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

from velora.analysis.aggregates import Estimate, Scores, estimate_improvement, estimate_iqm
from velora.analysis.collection import as_text
from velora.analysis.comparison.comparison import Cell, Comparison
from velora.analysis.rows import Rows
from velora.analysis.run import RETURN

MOST_PAIRED: Final = 4
MINUS: Final = "\N{MINUS SIGN}"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text below heads; the first ``n_names`` columns are names."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_names: int

    def markdown(self) -> str:
        """Write it as Markdown, aligned, so that its source reads well too."""
        widths = self._widths()
        rule = ["-" * width if i < self.n_names else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
        lines = (self._aligned(self.columns, widths), rule, *(self._aligned(row, widths) for row in self.rows))
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def plain(self) -> str:
        """Write it in aligned columns."""
        widths = self._widths()
        return "\n".join("  ".join(self._aligned(row, widths)).rstrip() for row in (self.columns, *self.rows))

    def _widths(self) -> list[int]:
        return [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]

    def _aligned(self, row: Sequence[str], widths: Sequence[int]) -> list[str]:
        cells = enumerate(zip(row, widths, strict=True))
        return [text.ljust(width) if i < self.n_names else text.rjust(width) for i, (text, width) in cells]


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
        for cell in of.in_panel(panel):
            final, best = cell.estimates
            row: dict[str, Any] = {"environment": panel, "curve": cell.curve, "seeds": cell.n_seeds}
            row |= _numbers("final", final)
            if of.is_scored:
                row |= _numbers("best", best)
            if of.is_scored and cell.environment in of.scales:
                row["normalised"] = float(estimate_iqm([of.scales[cell.environment](cell.final)]).value)
            row["steps"] = max(run.n_steps for run in _runs(cell))
            row["seconds"] = max(run.seconds for run in _runs(cell))
            rows.append(row)
    return rows


def averages(of: Comparison) -> dict[str, tuple[list[str], Estimate]]:
    """Return the normalised interquartile mean over all panels of a curve that has runs in more than one."""
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
    """Write :func:`results` for people."""
    rows = [_written(row, of) for row in results(of)]
    columns = tuple(rows[0])
    return Table(columns, tuple(tuple(row.values()) for row in rows), n_names=1 if len(of.panels) == 1 else 2)


def averages_table(of: Comparison) -> Table:
    """Write :func:`averages` for people."""
    rows = [(curve, str(len(panels)), spread(own)) for curve, (panels, own) in averages(of).items()]
    return Table(("curve", "environments", "normalised score"), tuple(rows), n_names=1)


def pairs_table(of: Comparison) -> Table:
    """Write :func:`pairs` for people."""
    rows = [(f"{pair.first} > {pair.second}", str(pair.n_panels), spread(pair.estimate)) for pair in pairs(of)]
    return Table(("which is better", "environments", "probability"), tuple(rows), n_names=1)


def runs_table(of: Comparison) -> Table:
    """List the runs with the settings in which they differ, and no others."""
    names = of.runs.differing()
    scored = [*of.runs.rows()]
    rows = []
    for run, row in zip(of.runs, scored, strict=True):
        own = of.runs.settings(run)
        settings = [as_text(own[name]) if name in own else "" for name in names]
        reached = "" if row["return"] is None else number(row["return"])
        rows.append((str(row["run"]), run.agent, run.environment, *settings, run.status, str(len(run.seeds)), reached))
    columns = ("run", "agent", "environment", *names, "status", "seeds", RETURN)
    return Table(columns, tuple(rows), n_names=4 + len(names))


def as_csv(of: Comparison) -> str:
    """Write :func:`results` as CSV; a cell without a number is empty."""
    rows = results(of)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, rows.columns(), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: "" if value != value else value for name, value in row.items()})
    return stream.getvalue()


def number(value: float) -> str:
    """Write a number with four digits, or all before the point if there are more.

    Example:
        >>> number(-1234.56), number(0.98765), number(12.0), number(float("nan"))
        ('\N{MINUS SIGN}1,235', '0.9877', '12', '')
    """
    if not math.isfinite(value):
        return ""
    digits = max(0, 3 - math.floor(math.log10(abs(value)))) if value else 0
    text = f"{value:,.{min(digits, 8)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", MINUS)


def spread(estimate: Estimate) -> str:
    """Write a number with its interval, if there is one.

    Example:
        >>> import numpy as np
        >>> spread(Estimate(np.array(2.0), np.array(-1.5), np.array(4.25)))
        '2 [\N{MINUS SIGN}1.5, 4.25]'
    """
    value, low, high = (number(float(one)) for one in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]" if estimate.has_interval else value


def _numbers(name: str, estimate: Estimate) -> dict[str, float]:
    return {
        name: float(estimate.value),
        f"{name}_low": float(estimate.low),
        f"{name}_high": float(estimate.high),
    }


def _written(row: dict[str, Any], of: Comparison) -> dict[str, str]:
    """Write a row, without columns that say nothing."""
    cell = of.cells[row["curve"], row["environment"]]
    final, best = cell.estimates
    written = {"environment": row["environment"]} if len(of.panels) > 1 else {}
    written |= {"curve": row["curve"], "seeds": str(row["seeds"]), "final": spread(final)}
    if of.is_scored:
        written["best so far"] = spread(best)
    if of.is_scored and of.scales and len(of.panels) > 1:
        written["normalised"] = number(row["normalised"])
    return {**written, "steps": f"{row['steps']:,}", "time": duration(row["seconds"])}


def duration(seconds: float) -> str:
    """Write a time in the unit that suits it.

    Example:
        >>> duration(4.2), duration(75.0), duration(7380.0)
        ('4 s', '1 min 15 s', '2 h 3 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _runs(cell: Cell) -> list[Any]:
    return [one.run for one in cell.series]


def _turned(pair: Pair, ours: Scores, theirs: Scores) -> Pair:
    return Pair(pair.second, pair.first, pair.n_panels, estimate_improvement(theirs, ours))
