"""An extension of Markdown: give every row of a page's tables an address, so that a claim can lead to its row.

A page asks for it by ``<!-- rows -->``. The address is that of the heading above and of the row's first cell,
``pendulum-irregular-time--cfc-dt-in-the-gate``; from the second table below a heading on its number stands between.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from markdown import Markdown
from markdown.extensions import Extension
from markdown.extensions.toc import slugify
from markdown.preprocessors import Preprocessor

MARKER = "<!-- rows -->"
_HEADING = re.compile(r"#+ (?P<text>.+)")
_RULE = re.compile(r"\|[-:| ]+\|?$")
_MOST = 70
"""Letters of a first cell in an address."""


def addresses(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Name the rows of tables: the number of the line, from 0, and its address."""
    heading, table, inside = "", 0, False
    for number, line in enumerate(lines):
        if found := _HEADING.match(line):
            heading, table = slugify(found["text"], "-"), 0
        if _RULE.match(line):
            table, inside = table + 1, True
        elif not line.startswith("|"):
            inside = False
        elif inside:
            cell = slugify(line.split("|")[1].strip(), "-")[:_MOST].strip("-")
            yield number, "--".join((heading, *([] if table == 1 else [str(table)]), cell))


class _Rows(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        """Put an anchor at the beginning of each row, where the page asks for it."""
        if MARKER not in lines:
            return lines
        named = dict(addresses(lines))
        return [
            f'| <a id="{named[number]}"></a>{line[1:].lstrip()}' if number in named else line
            for number, line in enumerate(lines)
        ]


class Rows(Extension):
    """The extension, for ``markdown_extensions``."""

    def extendMarkdown(self, md: Markdown) -> None:
        """Run after snippets (32) and fenced code (25), and before MkDocs looks for anchors (21)."""
        md.preprocessors.register(_Rows(md), "rows", 24)


def makeExtension(**settings: Any) -> Rows:
    """Make the extension; Markdown calls this."""
    return Rows(**settings)
