"""What a person sees while a study goes on: a line for each trial that ends, and a bar with the time left."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from velora.analysis.table import duration
from velora.callbacks.console import EdgeConsole
from velora.cli.tune.trials import REASON, SAME_AS

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

_EVERY_S = 0.3
_STATES = {"COMPLETE": "", "PRUNED": "pruned", "FAIL": "failed"}


class Progress:
    """Tell of trials as they end; on a terminal, keep a bar below them."""

    def __init__(self, study: Any, n_workers: int) -> None:
        """Begin with what has ended already, which isn't told again."""
        self._study, self._n_workers = study, n_workers
        self._console = EdgeConsole()
        self._told = {trial.number for trial in self._trials() if trial.state.is_finished()}
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._told_at = 0.0

    @property
    def n_ended(self) -> int:
        """How many trials have ended and been told."""
        return len(self._told)

    def __enter__(self) -> Progress:
        """Show the bar, where there is a terminal."""
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bar away."""
        self._live.stop()

    def refresh(self, n_trials: int, *, at_once: bool = False) -> None:
        """Tell what has changed, a few times a second at most.

        Args:
            n_trials: how many the study is to have.
            at_once: even if that was done a moment ago.
        """
        now = time.monotonic()
        if now - self._told_at < _EVERY_S and not at_once:
            return
        self._told_at = now
        found = self._trials()
        for trial in found:
            if trial.state.is_finished() and trial.number not in self._told:
                self._told.add(trial.number)
                self._console.print(Text(line_of(trial, n_trials)), soft_wrap=True)
        if self._console.is_terminal:
            self._live.update(self._bar(found, n_trials), refresh=True)

    def say(self, text: str) -> None:
        """Write a line above the bar."""
        self._console.print(Text(text), soft_wrap=True)

    def _trials(self) -> Sequence[FrozenTrial]:
        trials: Sequence[FrozenTrial] = self._study.get_trials(deepcopy=False)
        return trials

    def _bar(self, found: Sequence[FrozenTrial], n_trials: int) -> Table:
        ended = [trial for trial in found if trial.state.is_finished()]
        done = len(ended) + sum(_share(trial, ended) for trial in found if not trial.state.is_finished())
        row = Table.grid(padding=(0, 1), expand=True)
        row.add_column(no_wrap=True)
        row.add_column(ratio=1)
        row.add_column(no_wrap=True, justify="right")
        bar = ProgressBar(total=max(1, n_trials), completed=done, complete_style="cyan", finished_style="green")
        row.add_row(Text(f"trials {len(ended)}/{n_trials}", style="bold"), bar, Text(self._words(found, n_trials)))
        return row

    def _words(self, found: Sequence[FrozenTrial], n_trials: int) -> str:
        ended = [trial for trial in found if trial.state.is_finished()]
        complete = [trial for trial in ended if trial.state.name == "COMPLETE"]
        n_running = len(found) - len(ended)
        parts = [f"{n_running} running"] if n_running else []
        for name, word in (("PRUNED", "pruned"), ("FAIL", "failed")):
            if number := sum(trial.state.name == name for trial in ended):
                parts.append(f"{number} {word}")
        if complete:
            best = max(complete, key=lambda trial: trial.values[0])
            parts.append(f"best {best.values[0]:.1f} (trial {best.number})")
        if left := seconds_left(found, n_trials, self._n_workers):
            parts.append(f"{duration(left)} left")
        return "  ".join(parts)


def line_of(trial: FrozenTrial, n_trials: int) -> str:
    """Describe a trial that has ended."""
    state = _STATES[trial.state.name]
    values = "  ".join(f"{value:,.6g}" for value in trial.values or ())
    settings = "  ".join(f"{name}={short(value)}" for name, value in trial.params.items())
    noted = trial.user_attrs
    told = f"same as trial {noted[SAME_AS]}" if SAME_AS in noted else noted.get(REASON)
    reason = f"  ({told})" if told else ""
    return (
        f"trial {trial.number:>{len(str(n_trials - 1))}}  {' '.join(filter(None, (state, values)))}  {settings}{reason}"
    )


def short(value: Any) -> str:
    """Write a value that was drawn with as many digits as anybody reads."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def seconds_left(found: Sequence[FrozenTrial], n_trials: int, n_workers: int) -> float | None:
    """Estimate how long the rest takes from the median of the trials so far; ``None`` before the first has ended."""
    ended = [trial for trial in found if trial.state.is_finished()]
    if not ended or n_trials <= len(ended):
        return None
    typical = statistics.median(trial.duration.total_seconds() for trial in ended if trial.duration is not None)
    rest = n_trials - len(ended) - sum(_share(trial, ended) for trial in found if not trial.state.is_finished())
    return max(0.0, rest) * typical / max(1, min(n_workers, n_trials - len(ended)))


def _share(trial: FrozenTrial, ended: Sequence[FrozenTrial]) -> float:
    """Estimate how much of a running trial is done, in [0, 0.95]."""
    if not ended or trial.datetime_start is None:
        return 0.0
    typical = statistics.median(one.duration.total_seconds() for one in ended if one.duration is not None)
    return min(0.95, (datetime.now() - trial.datetime_start).total_seconds() / max(typical, 1e-3))
