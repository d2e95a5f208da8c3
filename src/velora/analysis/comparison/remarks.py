"""Remarks beside a comparison: few seeds, unfinished runs, pooled settings and whatever else limits it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from velora.analysis.comparison.comparison import Cell, Comparison
from velora.analysis.comparison.grouping import pooled
from velora.analysis.comparison.normalisation import unknown
from velora.analysis.run import Run

FEW_SEEDS = 5
"""Below this many seeds a 95 % interval is too narrow to be taken at its word."""
_SHORTER = 0.9
"""Share of the longest run's length below which a curve's end is worth a word."""


def remarks(of: Comparison) -> list[str]:
    """List them, the gravest first."""
    of_seeds = [*_repeated(of), *_few_seeds(of), *_pooled(of)]
    of_lengths = [*_unread(of), *_unfinished(of), *_budgets(of), *_shortened(of)]
    found = [*of_seeds, *of_lengths, *_lost(of), *_left_out(of), *_scale(of)]
    return list(dict.fromkeys(found))


def _repeated(of: Comparison) -> Iterator[str]:
    """Name the seeds that a curve counts more than once, such as those of a run and of its copy."""
    places: dict[tuple[str, str, int, frozenset[tuple[str, str]]], list[str]] = {}
    for run, place in zip(of.runs, of.places, strict=True):
        cell = of.cells[place.curve, place.panel]
        for seed in (one.seed for one in cell.series if one.run is run):
            alike = places.setdefault((place.curve, place.panel, seed, frozenset(place.known.items())), [])
            alike.append(str(run.directory))
    repeated = {key: alike for key, alike in places.items() if len(alike) > 1}
    if repeated:
        cells = [of.cells[name] for name in dict.fromkeys((curve, panel) for curve, panel, _, _ in repeated)]
        verb = "counts" if len(cells) in (1, len(of.cells)) else "count"
        seeds = sorted({seed for _, _, seed, _ in repeated})
        runs = _listed(next(iter(repeated.values())), 3)
        yield (
            f"{_named(cells, of)} {verb} {_seeds(seeds)} more than once, from runs that differ in nothing ({runs}), so "
            "that intervals are too narrow; name one of the runs alone."
        )


def _few_seeds(of: Comparison) -> Iterator[str]:
    alone, pairs, few = (
        [cell for cell in of.cells.values() if cell.n_seeds in counts] for counts in ((1,), (2,), range(3, FEW_SEEDS))
    )
    if alone:
        named = f"{_named(alone, of)} {_has(alone, of)}"
        yield f"{named} one seed: no interval exists, and the next seed may end elsewhere."
    if pairs:
        yield f"{_named(pairs, of)} {_has(pairs, of)} two seeds: what stands for an interval is their range."
    if few:
        yield (
            f"{_named(few, of)} {_has(few, of)} {_counts(few)} seeds: a 95 % interval of so few is too narrow; of 3 "
            "seeds it holds the truth about 3 times in 4, of 5 about 9 times in 10."
        )


def _pooled(of: Comparison) -> Iterator[str]:
    mixed: dict[str, list[str]] = {}
    cells = [cell for cell in of.cells.values() if pooled(of.places, cell.curve, cell.panel)]
    for cell in cells:
        for name, values in pooled(of.places, cell.curve, cell.panel).items():
            known = mixed.setdefault(name, [])
            known += [value for value in values if value not in known]
    if mixed:
        said = "; ".join(f"{name}: {_listed(values, 5)}" for name, values in mixed.items())
        verb = "pools" if len(cells) in (1, len(of.cells)) else "pool"
        yield (
            f"{_named(cells, of)} {verb} runs with different settings as if they were seeds ({said}), so that "
            "intervals are of both; add them to by= to tell them apart."
        )


def _unread(of: Comparison) -> Iterator[str]:
    """Name the runs whose metrics can't be read, and count those that have not begun."""
    begun = [run for run in of.unread if run.status not in ("waiting", "running")]
    if begun:
        known = _listed([str(run.directory) for run in begun], 3)
        yield f"Left out, since no metrics of theirs can be read: {known}; velora runs says why."
    if n := len(of.unread) - len(begun):
        yield f"{n} {'run has' if n == 1 else 'runs have'} not begun."


def _budgets(of: Comparison) -> Iterator[str]:
    """Name the different budgets of curves in one panel."""
    for panel in of.panels:
        given: dict[str, set[str]] = {}
        for run, place in zip(of.runs, of.places, strict=True):
            if place.panel == panel:
                given.setdefault(_budget(run), set()).add(place.curve)
        if len(given) > 1 and len(set().union(*given.values())) > 1:
            on = f" on {panel}" if len(of.panels) > 1 else ""
            yield (
                f"Runs{on} had different budgets ({_listed(given, 4)}), so that what was reached in the end, and which "
                "is better, sets shorter training beside longer."
            )


def _unfinished(of: Comparison) -> Iterator[str]:
    states = Counter(run.status for run in of.runs if run.status != "finished")
    if states:
        said = ", ".join(f"{n} {status}" for status, n in sorted(states.items()))
        verb = "has" if states.total() == 1 else "have"
        yield f"{states.total()} of {len(of.runs)} runs {verb} not finished: {said}."


def _shortened(of: Comparison) -> Iterator[str]:
    short = [
        cell
        for cell in of.cells.values()
        if min(one.x[-1] for one in cell.series) < _SHORTER * max(one.x[-1] for one in cell.series)
    ]
    if short:
        yield f"{_named(short, of)}: seeds end at different {of.x}; a curve ends where the first of its seeds does."


def _lost(of: Comparison) -> Iterator[str]:
    lost = sum(one.n_lost for cell in of.cells.values() for one in cell.series)
    if lost:
        yield f"{lost} values of {of.metric} were NaN or infinite and are left out."
    if of.n_without:
        n = len(of.runs)
        yield f"{of.metric} is recorded by {n} of {n + of.n_without} runs; the others are left out."


def _left_out(of: Comparison) -> Iterator[str]:
    if of.left_out:
        which = "the best ones" if of.is_scored else "the first ones"
        drawn = f"{len(of.shown)} of {len(of.curves)} curves are drawn, {which}; the table has all."
        yield f"{drawn} Left out: {_listed(of.left_out, 6)}."


def _scale(of: Comparison) -> Iterator[str]:
    environments = sorted({cell.environment for cell in of.cells.values()})
    if of.is_scored and len(environments) > 1 and not of.scales:
        missing = unknown(environments)
        why = f"no random and reference return of {_listed(missing, 4)} is known" if missing else "normalise=none"
        yield f"Environments aren't averaged over: {why}; give them by normalise=FILE.csv."


def _named(cells: Sequence[Cell], of: Comparison) -> str:
    """Name cells, as the subject of a sentence that goes on with :func:`_has`."""
    if len(cells) == len(of.cells) > 1:
        return "Each curve"
    return _listed([f"{cell.curve} on {cell.panel}" if len(of.panels) > 1 else cell.curve for cell in cells], 3)


def _listed(names: Iterable[str], most: int) -> str:
    known = list(names)
    between = "; " if any(", " in name for name in known) else ", "
    return between.join(known[:most]) + (f" and {len(known) - most} more" if len(known) > most else "")


def _has(cells: Sequence[Cell], of: Comparison) -> str:
    return "has" if len(cells) in (1, len(of.cells)) else "have"


def _counts(cells: Sequence[Cell]) -> str:
    return " or ".join(map(str, sorted({cell.n_seeds for cell in cells})))


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {_listed(map(str, seeds), 5)}"


def _budget(run: Run) -> str:
    """Write the budget of a run; as many episodes as steps are no limit of their own."""
    n_episodes, n_steps = run.budget
    if n_steps is not None and (n_episodes is None or n_episodes >= n_steps):
        return f"{n_steps:,} steps"
    parts = [f"{n:,} {what}" for n, what in ((n_episodes, "episodes"), (n_steps, "steps")) if n is not None]
    return " or ".join(parts) or "not known"
