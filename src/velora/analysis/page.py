"""A page of results in one HTML file: nothing is loaded from elsewhere, light and dark, narrow and wide, on paper.

::

    page("A study", [section("Trials", table(("trial", "return"), [("7", "-151.2")]))], foot="velora tune ...")

Text given to these functions is text, not markup. What they return is :class:`Markup`, which goes into a page as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import Any, Final

from velora.analysis.palette import DARK, LIGHT

_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; media-src data:"
)
"""What the browser itself is told to keep from loading: everything."""


@dataclass(frozen=True, slots=True)
class Markup:
    """HTML that is to be put into a page as it is."""

    html: str

    def __str__(self) -> str:
        return self.html


def page(
    title: str, parts: Sequence[Markup], *, lead: str = "", foot: str = "", data: Any = None, script: str = ""
) -> str:
    """Return the whole page.

    Args:
        title: the heading, and the name of the window.
        parts: what stands below it, in order.
        lead: a paragraph that says what this is about.
        foot: the command that made the page; empty for none.
        data: what ``script`` finds as JSON in the element ``data``; it may hold no NaN.
        script: JavaScript that runs when the page is there.

    Raises:
        ValueError: if ``data`` holds NaN or infinity.
    """
    scripts = ""
    if script:
        text = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
        scripts = f'<script type="application/json" id="data">{text}</script>\n<script>\n{script}</script>\n'
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>{escape(title)}</title>\n'
        f"<style>\n{_style()}</style>\n</head>\n<body>\n<header>\n<h1>{escape(title)}</h1>\n"
        + (f'<p class="lead">{escape(lead)}</p>\n' if lead else "")
        + "</header>\n<main>\n"
        + _lines(parts)
        + "</main>\n"
        + (f"<footer>\n<p>Made by</p>\n<pre><code>{escape(foot)}</code></pre>\n</footer>\n" if foot else "")
        + f"{scripts}</body>\n</html>\n"
    )


def section(heading: str, *parts: Markup, note: str = "") -> Markup:
    """Put parts below a heading, with a note between the two."""
    said = f'<p class="note">{escape(note)}</p>\n' if note else ""
    return Markup(f"<section>\n<h2>{escape(heading)}</h2>\n{said}{_lines(parts)}</section>")


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str = "", label: str = "", n_names: int = 1
) -> Markup:
    """Write a table that scrolls by itself where it is too wide.

    Args:
        columns: the heads.
        rows: text of the cells.
        caption: above it.
        label: its name for those who don't see it; empty for the caption.
        n_names: how many columns on the left are names, and so set to the left; numbers are set to the right.
    """
    heads = "".join(f'<th scope="col"{_side(i, n_names)}>{escape(name)}</th>' for i, name in enumerate(columns))
    lines = []
    for row in rows:
        cells = [f"<td{_side(i, n_names)}>{escape(cell)}</td>" for i, cell in enumerate(row)]
        lines.append(f"<tr>{''.join(cells)}</tr>\n")
    said = f"<caption>{escape(caption)}</caption>\n" if caption else ""
    label = escape(label or caption or "table")
    return Markup(
        f'<div class="wide" tabindex="0" role="region" aria-label="{label}"><table>\n'
        f"{said}<thead><tr>{heads}</tr></thead>\n<tbody>\n{''.join(lines)}</tbody>\n</table></div>"
    )


def figures(parts: Iterable[Markup]) -> Markup:
    """Set figures side by side, as many as there is room for."""
    return Markup(f'<div class="figures">\n{_lines(parts)}</div>')


def figure(svg: str, *, caption: str = "", name: str = "") -> Markup:
    """Put a picture of :func:`velora.analysis.drawing.embedded` into a figure.

    Args:
        svg: its markup.
        caption: below it.
        name: what a script finds it by, as ``data-panel``; empty for none.
    """
    said = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    own = f' data-panel="{escape(name)}" tabindex="0"' if name else ""
    return Markup(f"<figure{own}>{svg}{said}</figure>")


def notes(lines: Iterable[str]) -> Markup:
    """List what a reader has to know, a line each."""
    return Markup(f'<ul class="notes">\n{_lines(f"<li>{escape(line)}</li>" for line in lines)}</ul>')


def folded(summary: str, *parts: Markup) -> Markup:
    """Hide parts behind a line that opens them."""
    return Markup(f"<details>\n<summary>{escape(summary)}</summary>\n{_lines(parts)}</details>")


def asset(name: str) -> str:
    """Read a file that lies beside this module."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _lines(parts: Iterable[object]) -> str:
    return "".join(f"{part}\n" for part in parts)


def _side(column: int, n_names: int) -> str:
    return ' class="name"' if column < n_names else ""


def _style() -> str:
    light, dark = LIGHT.variables(), DARK.variables()
    in_dark = f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}"
    return f":root {{ {light} }}\n{in_dark}\n{asset('page.css')}"
