"""Show how runs get on: a live table on a terminal, a plain line for each change everywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

from velora.analysis.collection import Runs
from velora.callbacks.console import EdgeConsole
from velora.cli.runs.board import board, headline, line_of
from velora.cli.runs.follow import Follower

_STYLES: Final = {
    "running": "cyan",
    "finished": "green",
    "failed": "bold red",
    "dead": "red",
    "interrupted": "yellow",
    "unknown": "yellow",
}
_SUMMARY_EVERY_S: Final = 30.0
_SAME_EVERY_S: Final = 300.0
"""When a summary is repeated that says nothing new: only by writing is it seen that a reader has gone away."""


class LiveRuns:
    """Show the runs in some directories while a ``with`` lasts; :meth:`tick` may be called as often as one likes.

    Only the directories are read, so it shows the same wherever it runs. A terminal that goes away, and a stream that
    was closed, end the showing alone.

    Attributes:
        is_over: nobody sees it any more.
    """

    def __init__(
        self,
        find: Callable[[], Collection[Path]] | Collection[Path],
        *,
        choose: Callable[[Runs], Runs] = lambda runs: runs,
        top: Path | None = None,
        console: Console | None = None,
        every_s: float = 1.0,
    ) -> None:
        """Choose what to show, and where.

        Args:
            find: the directories of the runs, also of those that haven't begun, or what lists them.
            choose: takes those of the runs that are shown, in an order for each status.
            top: a directory that they all lie in, whose name is left out.
            console: where to show it; ``None`` is standard error.
            every_s: time between two looks, in seconds.
        """
        directories = find if callable(find) else lambda: find
        self._follower = Follower(directories)
        self._choose = choose
        self._top = top
        self._console = EdgeConsole() if console is None else console
        self._is_terminal = self._console.is_terminal and not self._console.is_dumb_terminal
        self._every_s = every_s
        self._live: Live | None = None
        self._next_s = 0.0
        self._said: dict[tuple[Path, str], str] = {}
        self._summary = ""
        self._summary_at_s = -_SAME_EVERY_S
        self.is_over = False

    def __enter__(self) -> LiveRuns:
        """Begin to show."""
        if self._is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show how everything stands at last, and give the terminal back."""
        self._next_s = 0.0
        try:
            self.tick()
        finally:
            self._stop()

    def tick(self) -> None:
        """Look again, if it is time."""
        now = time.monotonic()
        if self.is_over or now < self._next_s:
            return
        runs = self._choose(self._follower.read())
        try:
            if self._live is None:
                self._print(runs, now)
            else:
                width, height = self._console.size
                self._live.update(_coloured(board(runs, top=self._top, width=width, height=height)), refresh=True)
        except (OSError, ValueError):  # ValueError: the stream was closed
            self._stop()
            self.is_over = True
        self.is_over = self.is_over or self._console.quiet
        self._next_s = time.monotonic() + self._every_s

    def _print(self, runs: Runs, now: float) -> None:
        """Print a line for each run whose status is another now, and now and then one for all."""
        for run in runs:
            key = run.directory, run.run_id
            if key not in self._said:  # one that is running may get its id after that was said of its directory
                self._said[key] = self._said.pop((run.directory, ""), "waiting")
            if run.status != self._said[key]:
                self._said[key] = run.status
                self._say(line_of(run, self._top))
        summary = "  ".join(headline(runs, top=self._top))
        if now - self._summary_at_s >= (_SAME_EVERY_S if summary == self._summary else _SUMMARY_EVERY_S):
            self._summary, self._summary_at_s = summary, now
            self._say(summary)

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _stop(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            try:
                live.stop()
            except (OSError, ValueError):
                self.is_over = True


def _coloured(lines: Sequence[str]) -> Text:
    text = Text("\n".join(lines), no_wrap=True, overflow="crop")
    for status, style in _STYLES.items():
        text.highlight_regex(rf"(?m)(?<= ){status}(?= |$|,)", style)
    return text
