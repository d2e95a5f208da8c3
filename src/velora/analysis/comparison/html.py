"""The page of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, Final

from velora.analysis import drawing, page, panels
from velora.analysis.comparison import figures
from velora.analysis.comparison.comparison import Comparison
from velora.analysis.comparison.remarks import remarks
from velora.analysis.comparison.table import Table, averages_table, pairs_table, results_table, runs_table
from velora.analysis.comparison.words import about_results, heading, lead
from velora.analysis.page import Markup
from velora.analysis.panels import Panel

_SCRIPT: Final = "comparison/curves.js"
_ABOUT_CERTAINTY: Final = (
    "A profile that lies above another everywhere is better at every level. The probability of improvement says how "
    "often a seed of one ends above a seed of the other in the same environment; 0.5 is a coin. Definitions: Agarwal "
    "et al. 2021."
)


def write_page(of: Comparison, *, command: str = "", title: str = "") -> str:
    """Write the page: curves, what was reached, how sure that is, runs with the settings in which they differ, remarks.

    Args:
        command: what made it, to stand at its foot.
        title: its heading; empty for what is compared.

    Raises:
        VeloraError: if matplotlib isn't installed.
    """
    parts = [page.notes(found)] if (found := remarks(of)) else []
    parts += [_buttons(of)] if len(of.shown) > 1 else []
    curves, data = _draw({f"curves-{i}": panel for i, panel in enumerate(figures.curve_panels(of))})
    parts.append(page.section("Learning curves", page.figures(curves), note=figures.note(of)))
    parts.append(
        page.section("What was reached", _table(results_table(of), "What was reached"), note=about_results(of))
    )
    over_all = {"average": figures.average_panel(of), "profile": figures.profile_panel(of)}
    sure, more = _draw({name: panel for name, panel in over_all.items() if panel and len(of.shown) > 1})
    if sure := [*sure, *_intervals(of)]:
        parts.append(page.section("How sure that is", page.figures(sure), note=_ABOUT_CERTAINTY))
    summary = f"{len(of.runs)} runs, and the settings in which they differ"
    parts.append(page.folded(summary, _table(runs_table(of), "Runs")))
    script = page.asset(_SCRIPT)
    return page.page(title or heading(of), parts, lead=lead(of), foot=command, data={**data, **more}, script=script)


def _draw(named: Mapping[str, Panel]) -> tuple[list[Markup], dict[str, Any]]:
    """Draw panels, and return with them what the script needs to know of each."""
    drawn, data = [], {}
    for name, panel in named.items():
        figure = panels.draw_alone(panel)
        ends = "; ".join(f"{line.name} ends at {line.band.middle[-1]:.4g}" for line in panel.lines)
        title = f"{panel.title}: {panel.below} over {panel.across}"
        svg = drawing.embedded(figure, name=name, title=title, description=ends)
        drawn.append(page.figure(svg, name=name))
        data[name] = panels.numbers(panel, figure)
    return drawn, data


def _intervals(of: Comparison) -> list[Markup]:
    """Draw scores over all environments, and which curve is better."""
    found = {
        "scores": (figures.average_figure(of), averages_table(of)),
        "improvement": (figures.improvement_figure(of), pairs_table(of)),
    }
    drawn = []
    for name, (figure, told) in found.items():
        if figure is not None:
            said = "; ".join(f"{row[0]}: {row[-1]}" for row in told.texts())
            svg = drawing.embedded(figure, name=name, title=told.columns[-1], description=said)
            drawn.append(page.figure(svg))
    return drawn


def _buttons(of: Comparison) -> Markup:
    """Write a button for every curve, which hides it or shows it again."""
    made = [
        f'<button type="button" data-toggle="{i}" aria-pressed="true" style="--colour: var(--curve-{i})">'
        f"<i></i>{escape(name)}</button>"
        for i, name in enumerate(of.shown)
    ]
    return Markup(f'<div class="curves" role="group" aria-label="Curves">{"".join(made)}</div>')


def _table(own: Table, label: str) -> Markup:
    names, minus = own.n_names, "\N{MINUS SIGN}"
    texts = ([*row[:names], *(text.replace("-", minus) for text in row[names:])] for row in own.texts())
    return page.table(own.columns, texts, label=label, n_names=names)
