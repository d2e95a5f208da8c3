"""This package's texts in C; they are taken apart and filled as :mod:`velora.export.c.templates` does its own."""

from __future__ import annotations

from velora.export.c import templates


def text(name: str) -> str:
    """Return a file of ``templates``."""
    return templates.text(name, "velora.export.quantise.templates")
