"""Sentences about a comparison that pages and tables share."""

from __future__ import annotations

from velora.analysis.comparison.comparison import Comparison
from velora.analysis.run import EVALUATION, RETURN


def heading(of: Comparison) -> str:
    """Name what is compared."""
    names = ", ".join(of.curves) if len(of.curves) <= 3 else f"{len(of.curves)} curves"
    panels = ", ".join(of.panels) if len(of.panels) <= 3 else f"{len(of.panels)} environments"
    return f"{names} on {panels}"


def lead(of: Comparison) -> str:
    """Summarise a comparison in a sentence."""
    seeds = sum(cell.n_seeds for cell in of.cells.values())
    return (
        f"{_counted(len(of.runs), 'run')} with {_counted(seeds, 'seed')} in all: {values(of)}, over {of.x}. "
        "Numbers are interquartile means over seeds, [95 % stratified bootstrap intervals]."
    )


def about_results(of: Comparison) -> str:
    """Say what the columns of the results are."""
    noun = "episodes" if of.metric == RETURN else "values"
    last = "the newest evaluation" if of.metric == EVALUATION else f"the mean of the last {of.window} {noun}"
    best = " Best so far: the largest that it ever was." if of.is_scored else ""
    return f"Final: {last} of each seed.{best}"


def values(of: Comparison) -> str:
    """Name the values of a curve."""
    if of.metric == EVALUATION:
        return "mean return of an evaluation"
    name = "return of an episode" if of.metric == RETURN else of.metric
    return f"{name}, mean of {of.window}" if of.window > 1 else name


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}" + ("" if n == 1 else "s")
