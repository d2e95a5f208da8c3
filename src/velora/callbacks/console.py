"""The terminal, seen from training: a place to write to that may vanish."""

from __future__ import annotations

from rich.console import Console


class EdgeConsole(Console):
    """Write to standard error; when its reader goes away, fall silent instead of ending the process as rich does."""

    def __init__(self) -> None:
        """Open standard error as it is now."""
        super().__init__(stderr=True)

    def on_broken_pipe(self) -> None:
        """Write nothing more."""
        self.quiet = True
