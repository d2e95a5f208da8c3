"""Write a comparison as a page, a picture, a table: whatever the name of the file asks for."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any, Final

from velora.analysis import drawing, panels
from velora.analysis.comparison import figures
from velora.analysis.comparison.comparison import Comparison
from velora.analysis.comparison.remarks import remarks
from velora.analysis.comparison.table import (
    Table,
    as_csv,
    averages_table,
    pairs_table,
    results_table,
    runs_table,
)
from velora.analysis.page import Markup, asset, figure, folded, notes, page, section, table
from velora.analysis.page import figures as side_by_side
from velora.analysis.panels import Panel
from velora.analysis.run import EVALUATION, RETURN
from velora.core.errors import SettingError, VeloraError

_SCRIPT: Final = "comparison/curves.js"
_PICTURES: Final = (".png", ".svg", ".pdf")


def save(of: Comparison, out: str | Path, *, command: str = "", title: str = "") -> Path:
    """Write a comparison into a file, to the same bytes whenever it is made from the same runs.

    Args:
        out: its suffix says what: ``.html`` for the page, ``.png``, ``.svg`` or ``.pdf`` for the curves, ``.csv`` or
            ``.md`` for the table.
        command: what made it, to stand at the foot of a page or of a table in Markdown.
        title: above it; empty for what is compared.

    Raises:
        SettingError: if the suffix says nothing.
        VeloraError: if the file can't be written, or matplotlib is needed and isn't installed.
    """
    target = Path(out)
    suffix = target.suffix.lower()
    if suffix in _PICTURES:
        return drawing.save_figure(picture(of, title=title), target)
    writers: dict[str, Callable[[], str]] = {
        ".html": lambda: html(of, command=command, title=title),
        ".csv": lambda: as_csv(of),
        ".md": lambda: markdown(of, command=command, title=title),
    }
    if suffix not in writers:
        raise SettingError(f"out={target}: expected a name that ends in {', '.join([*writers, *_PICTURES])}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(writers[suffix](), encoding="utf-8", newline="\n")
    except OSError as error:
        raise VeloraError(f"{target}: can't be written ({error.strerror or error}); choose another path") from error
    return target


def picture(of: Comparison, *, title: str = "", with_seeds: bool = False) -> Any:
    """Draw the learning curves of all environments into one figure.

    Raises:
        VeloraError: if matplotlib isn't installed.
    """
    return panels.draw_together(figures.curve_panels(of, with_seeds=with_seeds), note=figures.note(of), title=title)


def summary(of: Comparison) -> str:
    """Write the tables and remarks for a terminal."""
    tables = [results_table(of), averages_table(of), pairs_table(of)]
    parts = [lead(of), *(own.plain() for own in tables if own.rows), "\n".join(f"- {line}" for line in remarks(of))]
    return "\n\n".join(part for part in parts if part) + "\n"


def markdown(of: Comparison, *, command: str = "", title: str = "") -> str:
    """Write tables and remarks as Markdown."""
    tables = [results_table(of), averages_table(of), pairs_table(of)]
    parts = [f"# {title or heading(of)}", lead(of), *(own.markdown() for own in tables if own.rows)]
    if found := remarks(of):
        parts.append("\n".join(f"- {line}" for line in found))
    if command:
        parts.append(f"Made by\n\n```\n{command}\n```")
    return "\n\n".join(parts) + "\n"


def html(of: Comparison, *, command: str = "", title: str = "") -> str:
    """Write the page: curves, what was reached, all environments together, which is better, runs, remarks.

    Raises:
        VeloraError: if matplotlib isn't installed.
    """
    drawn = {f"curves-{i}": own for i, own in enumerate(figures.curve_panels(of))}
    parts = [notes(found)] if (found := remarks(of)) else []
    parts += [_buttons(of), section("Learning curves", _shown(drawn, of), note=figures.note(of))]
    parts.append(section("What was reached", _table(results_table(of)), note=_about_results(of)))
    together, more = _together(of)
    if more:
        parts.append(section("How sure that is", *more, note=_ABOUT_CERTAINTY))
    runs = folded(f"{len(of.runs)} runs, and the settings in which they differ", _table(runs_table(of)))
    data = {}
    for name, own in {**drawn, **together}.items():
        data[name] = panels.numbers(own, panels.draw_alone(own))
    return page(title or heading(of), [*parts, runs], lead=lead(of), foot=command, data=data, script=asset(_SCRIPT))


def heading(of: Comparison) -> str:
    """Name what is compared."""
    names = of.curves if len(of.curves) <= 3 else (f"{len(of.curves)} curves",)
    return f"{', '.join(names)} on {', '.join(of.panels) if len(of.panels) <= 3 else f'{len(of.panels)} environments'}"


def lead(of: Comparison) -> str:
    """Say in a sentence what there is."""
    seeds = sum(cell.n_seeds for cell in of.cells.values())
    return (
        f"{_counted(len(of.runs), 'run')} with {_counted(seeds, 'seed')} in all: {figures.said(of)}, over {of.x}. "
        "Numbers are interquartile means over seeds, [95 % stratified bootstrap intervals]."
    )


_ABOUT_CERTAINTY: Final = (
    "A profile that lies above another everywhere is better at every level. The probability of improvement says how "
    "often a seed of one ends above a seed of the other in the same environment; 0.5 is a coin. Definitions: Agarwal "
    "et al. 2021."
)


def _about_results(of: Comparison) -> str:
    noun = "episodes" if of.metric == RETURN else "values"
    last = "the newest evaluation" if of.metric == EVALUATION else f"the mean of the last {of.window} {noun}"
    best = " Best so far: the largest that it ever was." if of.is_scored else ""
    return f"Final: {last} of each seed.{best}"


def _together(of: Comparison) -> tuple[dict[str, Panel], list[Markup]]:
    """Return the panels over all environments by name, and what stands in the section about them."""
    found = {"average": figures.average_panel(of), "profile": figures.profile_panel(of)}
    drawn = {name: own for name, own in found.items() if own is not None and len(of.shown) > 1}
    intervals = {"scores": figures.average_figure(of), "improvement": figures.improvement_figure(of)}
    pictures = [_figure(name, own) for name, own in drawn.items()]
    for name, own in intervals.items():
        if own is not None:
            told = {"scores": averages_table, "improvement": pairs_table}[name](of)
            said = "; ".join(f"{row[0]}: {row[-1]}" for row in told.rows)
            pictures.append(figure(drawing.embedded(own, name=name, title=told.columns[-1], description=said)))
    return drawn, [side_by_side(pictures)] if pictures else []


def _shown(drawn: dict[str, Panel], of: Comparison) -> Markup:
    return side_by_side(_figure(name, own) for name, own in drawn.items())


def _figure(name: str, own: Panel) -> Markup:
    ends = "; ".join(f"{line.name} ends at {line.band.middle[-1]:.4g}" for line in own.lines)
    title = f"{own.title}: {own.below} over {own.across}"
    return figure(drawing.embedded(panels.draw_alone(own), name=name, title=title, description=ends), name=name)


def _buttons(of: Comparison) -> Markup:
    """Write a button for every curve, which hides it or shows it again."""
    if len(of.shown) < 2:
        return Markup("")
    made = [
        f'<button type="button" data-toggle="{i}" aria-pressed="true" style="--colour: var(--curve-{i})">'
        f"<i></i>{escape(name)}</button>"
        for i, name in enumerate(of.shown)
    ]
    return Markup(f'<div class="curves" role="group" aria-label="Curves">{"".join(made)}</div>')


def _table(own: Table) -> Markup:
    return table(own.columns, own.rows, n_names=own.n_names)


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}" + ("" if n == 1 else "s")
