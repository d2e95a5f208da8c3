"""What the progress bar says: one snapshot of a run, as a line of text and as a picture for the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar as Bar
from rich.table import Table
from rich.text import Text

from velora.core.protocols import TrainerView
from velora.core.types import WindowStats

_MAX_LOSSES = 4


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Say where a run stands. With several seeds: the mean of their means, the greatest of their maxima."""

    phase: str
    """``warm-up``, ``training``, ``evaluating``, or the run's status once it is over."""
    episode: int
    n_episodes: int
    step: int
    n_steps: int | None
    window: WindowStats
    losses: Mapping[str, float]
    evaluation: float | None
    steps_per_second: float | None
    elapsed_s: float
    left_s: float | None

    @property
    def fraction(self) -> float:
        """How much of the run is done, in [0, 1], by the budget that is used up first."""
        by_steps = self.step / self.n_steps if self.n_steps else 0.0
        return min(1.0, max(self.episode / self.n_episodes, by_steps))


def is_steps_alone(n_episodes: int, n_steps: int | None) -> bool:
    """Tell whether only the budget of steps can end a run: every episode has one step at least."""
    return n_steps is not None and n_episodes >= n_steps


def take_snapshot(
    trainer: TrainerView, *, phase: str, steps_per_second: float | None, elapsed_s: float, left_s: float | None
) -> Snapshot:
    """Read the trainer's numbers; this copies the losses from the device, so do it a few times a second at most."""
    evaluation = trainer.last_evaluation
    losses = {name: value for name, value in trainer.losses().items() if name.endswith("loss")}
    return Snapshot(
        phase=phase,
        episode=trainer.episode,
        n_episodes=trainer.n_episodes,
        step=trainer.step,
        n_steps=trainer.n_steps,
        window=_over_seeds([progress.window for progress in trainer.progress]),
        losses=dict(list(losses.items())[:_MAX_LOSSES]),
        evaluation=None if evaluation is None else evaluation.mean,
        steps_per_second=steps_per_second,
        elapsed_s=elapsed_s,
        left_s=left_s,
    )


def describe(snapshot: Snapshot) -> list[str]:
    """Put a snapshot into words, the most important first."""
    steps = f"step {snapshot.step:,}" + (f"/{snapshot.n_steps:,}" if snapshot.n_steps else "")
    rate = "" if snapshot.steps_per_second is None else f" ({snapshot.steps_per_second:,.0f}/s)"
    has_limit = not is_steps_alone(snapshot.n_episodes, snapshot.n_steps)
    parts = [f"episode {snapshot.episode:,}" + (f"/{snapshot.n_episodes:,}" if has_limit else ""), steps + rate]
    window = snapshot.window
    if window.count:
        over = f"last {window.size}" if window.is_full else f"{window.count} of {window.size}"
        parts.append(f"return {_short(window.mean)}, max {_short(window.max)} ({over})")
    if snapshot.evaluation is not None:
        parts.append(f"evaluation {_short(snapshot.evaluation)}")
    parts.extend(f"{name} {_short(value)}" for name, value in snapshot.losses.items())
    parts.append(_duration(snapshot.elapsed_s))
    if snapshot.left_s is not None and snapshot.fraction < 1:
        parts.append(f"{_duration(snapshot.left_s)} left")
    return parts


def as_line(snapshot: Snapshot) -> str:
    """Return the snapshot as one line of plain text, for a log file or a pipe."""
    return " | ".join([f"[{snapshot.phase}]", *describe(snapshot)])


def as_picture(snapshot: Snapshot) -> RenderableType:
    """Return the snapshot as a bar with its figures below, for a terminal of any width."""
    top = Table.grid(padding=(0, 1), expand=True)
    top.add_column(no_wrap=True)
    top.add_column(ratio=1)
    top.add_column(no_wrap=True, justify="right")
    top.add_row(
        Text(snapshot.phase, style="bold"),
        Bar(total=1.0, completed=snapshot.fraction, complete_style="cyan", finished_style="green"),
        Text(f"{100 * snapshot.fraction:.0f}%"),
    )
    return Group(top, Text("  ".join(describe(snapshot)), style="cyan"))


def _over_seeds(windows: list[WindowStats]) -> WindowStats:
    """Summarise the windows of all seeds; the one with the fewest episodes says how full they are."""
    started = [window for window in windows if window.count]
    if len(started) < 2:
        return started[0] if started else windows[0]
    return WindowStats(
        size=windows[0].size,
        count=min(window.count for window in windows),
        mean=sum(window.mean for window in started) / len(started),
        std=math.sqrt(sum(window.std**2 for window in started) / len(started)),
        max=max(window.max for window in started),
    )


def _short(value: float) -> str:
    """Write a number in about four digits."""
    if math.isfinite(value) and abs(value) >= 100:
        return f"{value:,.1f}"
    return f"{value:.4g}"


def _duration(seconds: float) -> str:
    """Write a time as minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
