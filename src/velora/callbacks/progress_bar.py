"""Show how a run gets on: a live bar on a terminal or in a notebook, plain lines everywhere else."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

from rich.console import Console
from rich.live import Live

from velora.callbacks.base import Callback
from velora.callbacks.console import EdgeConsole
from velora.callbacks.notebook import NotebookBar, is_notebook
from velora.callbacks.pace import Pace
from velora.callbacks.progress_view import as_line, as_picture, take_snapshot
from velora.core.errors import SettingError
from velora.core.protocols import AgentView, TrainerView
from velora.core.types import Episode, Evaluation, Metrics

logger = logging.getLogger(__name__)


class ProgressBar(Callback):
    """Show episodes, steps per second, returns, losses and the time left, on standard error or below a notebook's cell.

    It draws when an update or an episode ends and its time has come, in the training thread: between two drawings it
    costs one look at the clock per update. What other code prints meanwhile appears above the bar.
    """

    def __init__(
        self, *, refresh_per_second: float = 4.0, seconds_per_line: float = 2.0, console: Console | None = None
    ) -> None:
        """Choose how often to draw.

        Args:
            refresh_per_second: drawings of the live bar per second, > 0.
            seconds_per_line: time between two plain lines where there is no terminal, in seconds, > 0.
            console: where to draw; None is standard error.

        Raises:
            SettingError: if a rate isn't a finite number > 0.
        """
        for name, value in (("refresh_per_second", refresh_per_second), ("seconds_per_line", seconds_per_line)):
            if not (math.isfinite(value) and value > 0):
                raise SettingError(f"progress_bar.{name}: expected a finite number > 0, got {value!r}")
        self._console = EdgeConsole() if console is None else console
        self._notebook = NotebookBar() if console is None and is_notebook() else None
        is_terminal = self._console.is_terminal and not self._console.is_dumb_terminal
        self._is_live = is_terminal or self._notebook is not None
        self._interval_s = 1 / refresh_per_second if self._is_live else seconds_per_line
        self._live: Live | None = None
        self._pace = Pace()
        self._next_s = math.inf
        self._start_s = 0.0
        self._n_going_on = 0

    def on_train_start(self, trainer: TrainerView, agent: AgentView) -> None:
        """Start the clock and, on a terminal, the live bar."""
        self._start_s = time.perf_counter()
        self._next_s = self._start_s
        self._pace.restart()
        if self._notebook is not None:
            self._notebook = NotebookBar()
        elif self._is_live:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        self._draw(trainer, _phase(trainer))

    def on_train_batch_end(
        self, trainer: TrainerView, agent: AgentView, outputs: Metrics, batch: Any, batch_idx: int
    ) -> None:
        """Draw if it is time."""
        if time.perf_counter() >= self._next_s:
            self._draw(trainer, "training")

    def on_episode_end(self, trainer: TrainerView, agent: AgentView, episode: Episode) -> None:
        """Draw if it is time."""
        if time.perf_counter() >= self._next_s:
            self._draw(trainer, _phase(trainer))

    def on_warmup_end(self, trainer: TrainerView, agent: AgentView) -> None:
        """Measure the pace anew, as updates are what takes the time."""
        self._pace.restart()
        self._draw(trainer, "training")

    def on_evaluation_start(self, trainer: TrainerView, agent: AgentView) -> None:
        """Show that the agent is being evaluated."""
        if self._is_live:
            self._draw(trainer, "evaluating")

    def on_evaluation_end(self, trainer: TrainerView, agent: AgentView, evaluation: Evaluation) -> None:
        """Show the result; of several seeds, which are often evaluated together, when it is time."""
        if self._is_live or len(agent.seeds) == 1 or time.perf_counter() >= self._next_s:
            self._draw(trainer, _phase(trainer))

    def on_train_end(self, trainer: TrainerView, agent: AgentView) -> None:
        """Draw the last state and leave it on the screen."""
        self._draw(trainer, trainer.status)
        self._stop()

    def on_exception(self, trainer: TrainerView, agent: AgentView, exception: BaseException) -> None:
        """Give the terminal back before the traceback is printed."""
        self._stop()

    def teardown(self, trainer: TrainerView, agent: AgentView, stage: str) -> None:
        """Give the terminal back, if nothing did before."""
        self._stop()

    def _draw(self, trainer: TrainerView, phase: str) -> None:
        """Draw the state of the run; a terminal or pipe that went away ends the drawing, not the training."""
        if self._next_s == math.inf:  # stopped
            return
        now = time.perf_counter()
        self._next_s = now + self._interval_s
        going_on = [lane for lane in trainer.progress if not lane.done] or trainer.progress
        if len(going_on) != self._n_going_on:  # the slowest of the others may be at another place
            self._n_going_on = len(going_on)
            self._pace.restart()
        self._pace.mark(now, min(lane.step for lane in going_on), min(lane.episode for lane in going_on))
        snapshot = take_snapshot(
            trainer,
            phase=phase,
            steps_per_second=self._pace.steps_per_second,
            elapsed_s=now - self._start_s,
            left_s=self._pace.seconds_left(n_episodes=trainer.n_episodes, n_steps=trainer.n_steps),
        )
        try:
            if self._notebook is not None:
                self._notebook.update(snapshot)
            elif self._live is not None:
                self._live.update(as_picture(snapshot), refresh=True)
            else:
                self._console.print(as_line(snapshot), markup=False, highlight=False, soft_wrap=True)
        except (OSError, ValueError) as error:  # ValueError: the stream was closed
            logger.warning("progress bar: can't write (%s); it is off for the rest of the run", error)
            self._stop()

    def _stop(self) -> None:
        """Stop the live bar and never draw again before the next run. Calling it twice is harmless."""
        self._next_s = math.inf
        live, self._live = self._live, None
        if live is not None:
            try:
                live.stop()
            except (OSError, ValueError) as error:
                logger.warning("progress bar: the terminal could not be restored (%s)", error)


def _phase(trainer: TrainerView) -> str:
    """Return whether the agent has begun to learn."""
    return "training" if trainer.update else "warm-up"
