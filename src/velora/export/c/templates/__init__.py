"""Texts in C that a policy is put together from: files with places ``@NAME@``, and parts that need others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files

_PART = re.compile(r"^/\* == (\w+)(?:: needs ([\w, ]+?))? == \*/\n", re.MULTILINE)
_PLACE = re.compile(r"@([A-Z]\w*)@")


def text(name: str, package: str = __package__) -> str:
    """Return a file of this folder, or of another package."""
    return (files(package) / name).read_text(encoding="utf-8")


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put values in the places of a text; a place without a value is a ``KeyError``."""
    return _PLACE.sub(lambda found: values[found[1]], template)


def parts(whole: str) -> dict[str, tuple[frozenset[str], str]]:
    """Take a text apart: the names that each of its parts needs, and its text."""
    _, *pieces = _PART.split(whole)
    rows = zip(pieces[0::3], pieces[1::3], pieces[2::3], strict=True)
    return {part: (frozenset(re.findall(r"\w+", needs or "")), body) for part, needs, body in rows}


def closure(whole: str, wanted: set[str]) -> str:
    """Return the parts of a text that are wanted and those they need, in its order."""
    found, waiting, rows = set[str](), set(wanted), parts(whole)
    while waiting:
        part = waiting.pop()
        found.add(part)
        waiting |= rows[part][0] - found
    return "".join(body for part, (_, body) in rows.items() if part in found)
