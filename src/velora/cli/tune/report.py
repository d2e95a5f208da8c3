"""The results of a study for people: a table in the terminal, and a page with pictures."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from velora.analysis import page as pages
from velora.analysis.drawing import embedded, save_figure
from velora.cli.settings import budget
from velora.cli.tune import best, figures
from velora.cli.tune.outcome import Outcome, Trial
from velora.cli.tune.progress import short
from velora.core import disk

PAGE: Final = "study.html"
PICTURES: Final = "figures"
SHOWN: Final = 10
_SINGLE: Final = ("complete",)


def lines(outcome: Outcome, shown: Path) -> Iterator[str]:
    """Write the results for a terminal.

    Args:
        shown: the study's directory as people see it.
    """
    yield f"study     {shown}"
    yield f"ended     {counts(outcome)}"
    yield f"return    {meaning(outcome)}, maximised"
    if not outcome.best:
        yield "best      none yet: no trial is complete" + (" and within the limits" if _limits(outcome) else "")
        return
    yield ""
    yield from aligned([columns(outcome), *(row(outcome, trial) for trial in outcome.best[:SHOWN])])
    if outcome.importances:
        yield ""
        yield "mattered  " + ", ".join(f"{name} {100 * share:.0f} %" for name, share in outcome.importances.items())


def counts(outcome: Outcome) -> str:
    """Count the trials by how they ended."""
    names = ("complete", "infeasible", "pruned", "failed", "running", "left")
    words = {"infeasible": "beyond a limit", "left": "left unfinished"}
    parts = [f"{number} {words.get(name, name)}" for name in names if (number := outcome.count(name))]
    return f"{outcome.n_ended} of {outcome.n_trials} trials" + (f": {', '.join(parts)}" if parts else "")


def meaning(outcome: Outcome) -> str:
    """Say what the return of a trial is."""
    options, n_seeds = outcome.request.options, len(outcome.request.seeds())
    which = {"final": "the last evaluation", "best": "the best evaluation", "mean": "the mean of all evaluations"}
    statistic = {"iqm": "interquartile mean", "min": "minimum"}.get(options.statistic, options.statistic)
    over = f"{statistic} over {n_seeds} seeds of " if n_seeds > 1 else ""
    return over + which[options.value]


def columns(outcome: Outcome) -> list[str]:
    """Name the columns of the table."""
    spread = ["± seeds"] if len(outcome.request.seeds()) > 1 else []
    return ["trial", "return", *spread, *_costs(outcome), *outcome.request.space]


def row(outcome: Outcome, trial: Trial) -> list[str]:
    """Write one trial."""
    spread = [] if len(outcome.request.seeds()) == 1 else ["" if trial.spread is None else f"{trial.spread:.1f}"]
    value = f"{trial.values[0]:.1f}" if trial.values else ""
    costs = [f"{trial.cost[name]:.4g}" if name in trial.cost else "" for name in _costs(outcome)]
    return [str(trial.number), value, *spread, *costs, *_params(outcome, trial)]


def _params(outcome: Outcome, trial: Trial) -> Iterator[str]:
    """Write what was drawn; a worker may have died before it had drawn everything."""
    yield from (short(trial.params[name]) if name in trial.params else "" for name in outcome.request.space)


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Set the columns of a table to the right, one below the other."""
    widths = [max(len(one[i]) for one in rows) for i in range(len(rows[0]))]
    yield from ("  ".join(cell.rjust(width) for cell, width in zip(one, widths, strict=True)) for one in rows)


def is_left(outcome: Outcome) -> bool:
    """Return whether there are trials that nobody is at."""
    return bool(outcome.count("left")) or outcome.n_ended + outcome.count("running") < outcome.n_trials


def next_commands(outcome: Outcome, shown: Path, trusting: Sequence[str]) -> Iterator[str]:
    """Write the commands to go on with.

    Args:
        outcome: of the study.
        shown: its directory as people see it.
        trusting: words that a resume asks for, since they name code from outside Velora.
    """
    if is_left(outcome):
        yield f"go on     velora tune {' '.join([shlex.quote(f'resume={shown}'), *trusting])}"
    if not outcome.best:
        return
    seeds = best.fresh_seeds(outcome.request)
    yield f"train     velora train {' '.join([*best.save(outcome, shown), *seeds])}"
    yield f"against   velora train {' '.join([*best.base_words(outcome.request), *seeds])}"
    if len(outcome.best) > 1:
        yield (
            f"          The best of {outcome.count('complete')} looks better than it is: "
            "judge it on those seeds, which the study hasn't seen."
        )


def write_page(outcome: Outcome, out: Path, *, command: str, pictures: Path | None = None) -> None:
    """Write the page, and the pictures as files of their own too.

    Args:
        out: the page.
        command: what made it.
        pictures: a directory for the files; ``None`` for none.

    Raises:
        VeloraError: if matplotlib isn't installed.
        OSError: as the system reports it.
    """
    drawn = list(figures.draw(outcome))
    if pictures is not None:
        for one in drawn:
            save_figure(one.figure, pictures / f"{one.name}.svg")
    parts: list[pages.Markup] = []
    if outcome.best:
        parts.append(
            pages.section(
                "Best trials",
                pages.table(columns(outcome), [row(outcome, trial) for trial in outcome.best[:SHOWN]]),
                note="The best of many looks better than it is: judge it on seeds which the study hasn't seen.",
            )
        )
    svgs = (
        pages.figure(embedded(one.figure, name=one.name, title=one.title, description=one.description)) for one in drawn
    )
    if drawn:
        parts.append(pages.section("In pictures", pages.figures(svgs)))
    searched = pages.table(("setting", "values"), _space(outcome), n_names=2)
    parts.append(pages.section("Search space", searched, note="A setting with one value has it in all trials."))
    heads = ["trial", "state", *columns(outcome)[1:], "seconds", "why"]
    parts.append(pages.folded(f"All {len(outcome.trials)} trials", pages.table(heads, _all(outcome), n_names=2)))
    lead = f"{counts(outcome)}. Return: {meaning(outcome)}, maximised."
    text = pages.page(f"Study {outcome.name}", parts, lead=lead, foot=command)
    disk.write_text(out, text)


def _space(outcome: Outcome) -> Iterator[tuple[str, str]]:
    yield from ((name, str(dimension)) for name, dimension in outcome.request.space.items())
    given = (word for word in outcome.request.words if not budget.is_added(word))
    yield from tuple(word.split("=", 1) for word in given)  # type: ignore[misc]


def _all(outcome: Outcome) -> Iterator[list[str]]:
    for trial in outcome.trials:
        number, *cells = row(outcome, trial)
        seconds = "" if trial.seconds is None else f"{trial.seconds:.1f}"
        yield [number, trial.state, *cells, seconds, trial.reason]


def _costs(outcome: Outcome) -> list[str]:
    """Name the costs that the study was asked about."""
    options = outcome.request.options
    return [name for name in figures.COST_NAMES if name in options.minimise or name in options.limits]


def _limits(outcome: Outcome) -> bool:
    return bool(outcome.request.options.limits)
