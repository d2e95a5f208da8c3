"""A run's progress in a notebook: one picture below the cell, which is replaced in place."""

from __future__ import annotations

import html
import importlib
import sys
from typing import Any

from velora.callbacks.progress_view import Snapshot, as_line, describe


def is_notebook() -> bool:
    """Return whether this process is the kernel of a notebook; IPython in a terminal isn't."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class Picture:
    """A snapshot of a run, as a notebook shows it and as it stands in a saved one."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def __repr__(self) -> str:
        """Show it as a line of text."""
        return as_line(self.snapshot)

    def _repr_html_(self) -> str:
        """Show it as a bar with its figures below."""
        phase, done = html.escape(self.snapshot.phase), self.snapshot.fraction
        figures = html.escape(" \u00a0 ".join(describe(self.snapshot)))
        return (
            f'<div><b>{phase}</b> <progress value="{done:.4f}" max="1" style="width: 40%" aria-label="{phase}">'
            f"</progress> {100 * done:.0f}%<br><small>{figures}</small></div>"
        )


class NotebookBar:
    """A place below the cell that runs, of which :meth:`update` replaces the content."""

    def __init__(self) -> None:
        self._handle: Any = None

    def update(self, snapshot: Snapshot) -> None:
        """Show the newest snapshot."""
        display: Any = importlib.import_module("IPython.display")
        if self._handle is None:
            self._handle = display.display(Picture(snapshot), display_id=True)
        else:
            self._handle.update(Picture(snapshot))
