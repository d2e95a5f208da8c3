"""Read this package's texts in C; places in them are filled as :mod:`velora.export.c.templates` fills its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files

_PART = re.compile(r"^/\* == (\w+)(?:: needs ([\w, ]+?))? == \*/\n", re.MULTILINE)


def text(name: str) -> str:
    """Return a file of ``templates``."""
    return (files("velora.export.quantise.templates") / name).read_text(encoding="utf-8")


def _parts(name: str) -> Mapping[str, tuple[frozenset[str], str]]:
    """Return the parts of a file: what each needs, and its text."""
    pieces = _PART.split(text(name))[1:]
    triples = zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True)
    return {part: (frozenset(re.findall(r"\w+", needs or "")), body) for part, needs, body in triples}


def part(name: str, wanted: str) -> str:
    """Return one part of a file."""
    return _parts(name)[wanted][1]


def needs_of(name: str, wanted: str) -> frozenset[str]:
    """Return what one part of a file needs."""
    return _parts(name)[wanted][0]


def parts_with_needs(name: str, wanted: set[str]) -> str:
    """Return the parts of a file that are wanted and those they need, in the file's order."""
    parts, found, waiting = _parts(name), set[str](), set(wanted)
    while waiting:
        found |= waiting
        waiting = {need for one in waiting for need in parts[one][0]} - found
    return "".join(body for one, (_, body) in parts.items() if one in found)
