"""Texts in C that a policy is put together from: files with places ``@NAME@``, and parts that need others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files

_PART = re.compile(r"^/\* == (\w+)(?:: needs ([\w, ]+?))? == \*/\n", re.MULTILINE)
_PLACE = re.compile(r"@([A-Z]\w*)@")


def text(name: str) -> str:
    """Return a file of this folder."""
    return (files(__package__) / name).read_text(encoding="utf-8")


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put values in the places of a text; a place without a value is a ``KeyError``."""
    return _PLACE.sub(lambda found: values[found[1]], template)


def closure(name: str, wanted: set[str]) -> str:
    """Return the parts of a file that are wanted and those they need, in the file's order."""
    _, *pieces = _PART.split(text(name))
    rows = zip(pieces[0::3], pieces[1::3], pieces[2::3], strict=True)
    parts = {part: (set(re.findall(r"\w+", needs or "")), body) for part, needs, body in rows}
    found: set[str] = set()
    waiting = set(wanted)
    while waiting:
        part = waiting.pop()
        found.add(part)
        waiting |= parts[part][0] - found
    return "".join(body for part, (_, body) in parts.items() if part in found)
