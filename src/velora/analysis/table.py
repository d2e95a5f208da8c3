"""Rows as text: aligned for people, Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from velora.analysis.collection import as_text
from velora.analysis.rows import Rows
from velora.core.terminal import visible

_GAP: Final = "  "
_LEAST: Final = 8
"""Letters that a column keeps where it is cut."""


def number(value: float) -> str:
    """Write a number in about four digits.

    Example:
        >>> number(-1234.567), number(0.93333), number(float("nan"))
        ('-1,234.6', '0.9333', '')
    """
    if math.isnan(value):
        return ""
    return f"{value:,.1f}" if math.isfinite(value) and abs(value) >= 100 else f"{value:.4g}"


def duration(seconds: float) -> str:
    """Write a time as minutes and seconds, with hours where there are any.

    Example:
        >>> duration(75), duration(3675)
        ('1:15', '1:01:15')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def seeds(values: Sequence[int]) -> str:
    """Write run seeds, those that follow each other as a range.

    Example:
        >>> seeds([0, 1, 2, 3]), seeds([3, 7, 8])
        ('0-3', '3,7,8')
    """
    runs = [
        [value for _, value in group] for _, group in itertools.groupby(enumerate(values), lambda at: at[1] - at[0])
    ]
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs)


_WRITERS: Final[Mapping[str, Callable[[Any], str]]] = {
    **dict.fromkeys(("return", "best", "low", "high"), number),
    **dict.fromkeys(("time", "left"), duration),
    **dict.fromkeys(("episodes", "steps"), lambda value: f"{value:,}"),
    "seeds": lambda value: seeds(value) if isinstance(value, list) else str(value),
    "progress": lambda value: f"{math.floor(100 * value)} %",
    "started": lambda value: str(value).replace("T", " ").removesuffix("+00:00"),
}
_NUMBERS: Final = frozenset({*_WRITERS, "unfinished"} - {"started", "seeds"})


def cell(column: str, value: Any) -> str:
    """Write the value of a column for people, in one line; nothing for one that isn't there."""
    if value is None:
        return ""
    write = _WRITERS.get(column, _setting)
    return visible(write(value))


def _setting(value: Any) -> str:
    """Write the value of a setting, a searched one in six digits."""
    return f"{value:.6g}" if isinstance(value, float) else as_text(value)


def headings(columns: Iterable[str]) -> dict[str, str]:
    """Shorten the names of settings to their last part, where that is the only one of its kind."""
    names = list(columns)
    leaves = [name.rpartition(".")[2] for name in names]
    return {
        name: leaf if leaves.count(leaf) == 1 and leaf not in names else name
        for name, leaf in zip(names, leaves, strict=True)
    }


def as_lines(
    rows: Rows,
    columns: Sequence[str],
    *,
    width: int | None = None,
    spare: Sequence[str] = (),
    numbers: Collection[str] = (),
) -> list[str]:
    """Align rows in columns, under their headings.

    Args:
        rows: the rows.
        columns: those to show, in order.
        width: the letters that a line may have; ``None`` for as many as it takes.
        spare: the columns to leave out where lines would be too long, the first one first. After them, the longest
            columns are cut, from the left of their values, whose ends tell more.
        numbers: columns to set to the right, beside those that are known to be numbers.
    """
    shown = list(columns)
    for name in (None, *spare):
        shown = [column for column in shown if column != name]
        names = headings(shown)
        texts = [
            [visible(names[column]) for column in shown],
            *([cell(column, row.get(column)) for column in shown] for row in rows),
        ]
        widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
        if width is None or _total(widths) <= width:
            break
    else:
        widths = _cut(widths, width)
    right = [column in _NUMBERS or column in numbers for column in shown]
    lines = (_GAP.join(map(_aligned, texts_of_row, widths, right)) for texts_of_row in texts)
    return [line.rstrip() for line in lines]


def as_markdown(rows: Rows, columns: Sequence[str], *, numbers: Collection[str] = ()) -> list[str]:
    """Write rows as a table of Markdown; ``numbers`` are further columns to set to the right."""
    names = headings(columns)
    rules = ["---:" if column in _NUMBERS or column in numbers else "---" for column in columns]
    cells = [[cell(column, row.get(column)) for column in columns] for row in rows]
    heads, *lines = (
        [_in_markdown(text) for text in line] for line in ([visible(names[name]) for name in columns], *cells)
    )
    return [f"| {' | '.join(line)} |" for line in (heads, rules, *lines)]


def as_csv(rows: Rows, columns: Sequence[str]) -> str:
    """Write rows as CSV, with full names and full precision; an empty field is no value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_field(row.get(column)) for column in columns] for row in rows)
    return text.getvalue()


def as_json(rows: Rows, columns: Sequence[str]) -> str:
    """Write rows as a list in JSON; a number that isn't finite is null."""
    return json.dumps([{name: _plain(row.get(name)) for name in columns} for row in rows], indent=1, default=str) + "\n"


def _in_markdown(text: str) -> str:
    r"""Take its meaning from what would end a cell, or be taken for HTML.

    Example:
        >>> _in_markdown("a|b <i>")
        'a\\|b &lt;i>'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def _field(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, list) and all(isinstance(one, int) for one in value):
        return " ".join(map(str, value))
    return repr(value) if isinstance(value, float) else as_text(value)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _aligned(text: str, width: int, is_right: bool) -> str:
    if len(text) > width:
        return "…" + text[len(text) - width + 1 :]
    return text.rjust(width) if is_right else text.ljust(width)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _cut(widths: list[int], width: int | None) -> list[int]:
    """Make the widest columns narrower until a line fits, or nothing more can be taken away."""
    narrower = list(widths)
    while width is not None and _total(narrower) > width and max(narrower, default=0) > _LEAST:
        narrower[narrower.index(max(narrower))] -= 1
    return narrower
