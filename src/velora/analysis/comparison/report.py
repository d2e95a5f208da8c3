"""Write a comparison as a page, a picture or a table, whatever the name of the file asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from velora.analysis import drawing, panels
from velora.analysis.comparison import figures
from velora.analysis.comparison.comparison import Comparison
from velora.analysis.comparison.html import write_page
from velora.analysis.comparison.remarks import remarks
from velora.analysis.comparison.table import Table, averages_table, pairs_table, results, results_table
from velora.analysis.comparison.words import heading, lead
from velora.analysis.table import as_csv
from velora.core import disk
from velora.core.errors import SettingError, VeloraError

_PICTURES: Final = (".png", ".svg", ".pdf")
_ALONE: Final = (7.2, 4.2)
"""Inches of a panel that has a picture to itself."""
_TEXTS: Final = (".html", ".csv", ".md")


def check_name(out: str | Path) -> str:
    """Return the suffix of a file, which says what is to be in it.

    Raises:
        SettingError: if it says nothing.
    """
    suffix = Path(out).suffix.lower()
    if suffix not in (*_TEXTS, *_PICTURES):
        raise SettingError(f"out={out}: expected a name that ends in {', '.join([*_TEXTS, *_PICTURES])}")
    return suffix


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
    target, suffix = Path(out), check_name(out)
    if suffix in _PICTURES:
        return drawing.save_figure(picture(of, title=title), target)
    writers: dict[str, Callable[[], str]] = {
        ".html": lambda: write_page(of, command=command, title=title),
        ".csv": lambda: as_csv(results(of), results(of).columns()),
        ".md": lambda: markdown(of, command=command, title=title),
    }
    try:
        disk.write_text(target, writers[suffix]())
    except OSError as error:
        raise VeloraError(f"{target}: can't be written ({error.strerror or error}); choose another path") from error
    return target


def picture(of: Comparison, *, title: str = "", with_seeds: bool = False) -> Any:
    """Draw the learning curves of all environments into one figure.

    Args:
        title: above it.
        with_seeds: single seeds are drawn too.

    Raises:
        VeloraError: if matplotlib isn't installed.
    """
    drawn = figures.curve_panels(of, with_seeds=with_seeds)
    lines = [line for panel in drawn for line in panel.lines]
    thin = " Thin lines: single seeds." if any(line.seeds for line in lines) else ""
    circles = " Circles: evaluations." if any(line.marks for line in lines) else ""
    size = (panels.WIDTH, panels.HEIGHT) if len(drawn) > 1 else _ALONE
    return panels.draw_together(drawn, note=figures.note(of) + thin + circles, title=title, size=size)


def summary(of: Comparison, *, width: int | None = None) -> str:
    """Write the tables and remarks for a terminal, in tables of so many letters a line at most."""
    tables = ["\n".join(own.lines(width)) for own in _tables(of)]
    parts = [lead(of), *tables, "\n".join(f"- {line}" for line in remarks(of))]
    return "\n\n".join(part for part in parts if part) + "\n"


def markdown(of: Comparison, *, command: str = "", title: str = "") -> str:
    """Write tables and remarks as Markdown, and at the foot what made them."""
    parts = [f"# {title or heading(of)}", lead(of), *("\n".join(own.markdown()) for own in _tables(of))]
    parts.append("\n".join(f"- {line}" for line in remarks(of)))
    parts.append(f"Made by\n\n```\n{command}\n```" if command else "")
    return "\n\n".join(part for part in parts if part) + "\n"


def _tables(of: Comparison) -> list[Table]:
    return [own for own in (results_table(of), averages_table(of), pairs_table(of)) if own.rows]
