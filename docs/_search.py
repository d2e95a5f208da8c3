"""A hook of MkDocs: let the search put pages that show how before decisions, and before lists of everything."""

from __future__ import annotations

from typing import Any

BOOSTS = {"guide": 2.0, "tutorial": 2.0, "examples": 1.2, "reference": 0.7, "adr": 0.4}
"""How much the pages of a folder weigh; others weigh 1."""


def on_page_context(context: Any, *, page: Any, **_: Any) -> Any:
    """Weigh a page; MkDocs calls this before the search reads it."""
    page.meta.setdefault("search", {"boost": BOOSTS.get(page.file.src_uri.partition("/")[0], 1.0)})
    return context
