"""A line on the terminal that says how far a long command is."""

from __future__ import annotations

import time
from typing import Self

from rich.live import Live
from rich.text import Text

from velora.analysis.table import duration
from velora.callbacks.console import EdgeConsole


class Bar:
    """A line on the terminal: what is being done, how far it is, and how long it will take; elsewhere nothing."""

    def __init__(self) -> None:
        self._console = EdgeConsole()
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._what, self._unit, self._total, self._done = "", "", 0, 0
        self._began = self._shown = time.monotonic()

    def __enter__(self) -> Self:
        """Show it, where there is a terminal."""
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take it away."""
        self._live.stop()

    def begin(self, what: str, total: int, unit: str = "") -> None:
        """Take note of a part that begins, how far it goes, and in what unit, in the singular."""
        self._what, self._total, self._unit, self._done = what, total, unit, 0
        self._began = time.monotonic()
        self._show()

    def advance(self, n: int = 1) -> None:
        """Take note of n more."""
        self._done += n
        if time.monotonic() - self._shown > 0.2:
            self._show()

    def say(self, text: str) -> None:
        """Print a line that stays, also where there is no terminal."""
        self._console.print(Text(text), soft_wrap=True)

    def _show(self) -> None:
        self._shown = now = time.monotonic()
        if not self._console.is_terminal:
            return
        far = f"  {self._done:,}/{self._total:,} {self._unit}s" if self._unit else ""
        left = (now - self._began) * max(0, self._total - self._done) / self._done if self._done else None
        text = f"{self._what}{far}{'' if left is None else f'  {duration(left)} left'}"
        self._live.update(Text(text), refresh=True)
