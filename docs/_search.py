"""A hook of MkDocs: let the search put pages that show how before decisions, and before lists of everything."""

from __future__ import annotations

from typing import Any

FOLDERS = {"guide": 2.0, "tutorial": 2.0, "reference": 0.5, "adr": 0.2}
"""How much the pages of a folder weigh; others weigh 1."""
PAGES = {
    "guide/your-own-environment.md": 8.0,
    "guide/onnx.md": 5.0,
    "guide/liquid-cells.md": 5.0,
    "guide/tuning.md": 8.0,
}
"""Pages whose subject has other names than their title, or stands in many titles."""


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Weigh a page; MkDocs calls this before the search reads it. (Of one event, plugins come before hooks.)"""
    path = page.file.src_uri
    page.meta.setdefault("search", {"boost": PAGES.get(path, FOLDERS.get(path.partition("/")[0], 1.0))})
    return markdown
