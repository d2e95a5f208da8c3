"""Text of the progress bar: one snapshot of a run, as a line and as a picture for the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar as Bar
from rich.table import Table
from rich.text import Text

from velora.core.protocols import TrainerView
from velora.core.types import WindowStats

_MAX_LOSSES = 4


@dataclass(frozen=True, slots=True)
class Spread:
    """Spread of a run over its seeds; pairs are the least and the greatest of those that still train."""

    n_seeds: int
    n_done: int
    episodes: tuple[int, int]
    steps: tuple[int, int]
    return_std: float
    evaluation_std: float
    fraction: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State of a run. With several seeds: the mean of their means, the greatest of their maxima."""

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
    spread: Spread | None = None
    """``None`` in a run of one seed."""

    @property
    def fraction(self) -> float:
        """How much of the run is done, in [0, 1], by the budget that is used up first; the mean over seeds."""
        if self.spread is not None:
            return self.spread.fraction
        return _fraction(self.episode, self.n_episodes, self.step, self.n_steps)


def _fraction(episode: int, n_episodes: int, step: int, n_steps: int | None) -> float:
    return min(1.0, max(episode / n_episodes, step / n_steps if n_steps else 0.0))


def is_steps_alone(n_episodes: int, n_steps: int | None) -> bool:
    """Return whether only the budget of steps can end a run: every episode has one step at least."""
    return n_steps is not None and n_episodes >= n_steps


def take_snapshot(
    trainer: TrainerView, *, phase: str, steps_per_second: float | None, elapsed_s: float, left_s: float | None
) -> Snapshot:
    """Read the trainer's numbers; this copies the losses from the device, so do it a few times a second at most."""
    evaluations = [progress.evaluation.mean for progress in trainer.progress if progress.evaluation is not None]
    losses = {name: value for name, value in trainer.losses().items() if name.endswith("loss")}
    return Snapshot(
        phase=phase,
        episode=trainer.episode,
        n_episodes=trainer.n_episodes,
        step=trainer.step,
        n_steps=trainer.n_steps,
        window=_over_seeds([progress.window for progress in trainer.progress]),
        losses=dict(list(losses.items())[:_MAX_LOSSES]),
        evaluation=_mean(evaluations) if evaluations else None,
        steps_per_second=steps_per_second,
        elapsed_s=elapsed_s,
        left_s=left_s,
        spread=_spread(trainer, evaluations) if len(trainer.progress) > 1 else None,
    )


def _spread(trainer: TrainerView, evaluations: Sequence[float]) -> Spread:
    lanes = trainer.progress
    going_on = [lane for lane in lanes if not lane.done] or lanes
    budgets = trainer.n_episodes, trainer.n_steps
    done = [1.0 if p.done else _fraction(p.episode, budgets[0], p.step, budgets[1]) for p in lanes]
    return Spread(
        n_seeds=len(lanes),
        n_done=sum(lane.done for lane in lanes),
        episodes=(min(lane.episode for lane in going_on), max(lane.episode for lane in going_on)),
        steps=(min(lane.step for lane in going_on), max(lane.step for lane in going_on)),
        return_std=_std([lane.window.mean for lane in lanes if lane.window.count]),
        evaluation_std=_std(evaluations),
        fraction=_mean(done),
    )


def describe(snapshot: Snapshot) -> list[str]:
    """Put a snapshot into words, the most important first."""
    spread, window = snapshot.spread, snapshot.window
    parts = _progress(snapshot)
    apart = ("", "") if spread is None else (f" ± {_short(spread.return_std)}", f" ± {_short(spread.evaluation_std)}")
    if window.count:
        over = f"last {window.size}" if window.is_full else f"{window.count} of {window.size}"
        parts.append(f"return {_short(window.mean)}{apart[0]}, max {_short(window.max)} ({over})")
    if snapshot.evaluation is not None:
        parts.append(f"evaluation {_short(snapshot.evaluation)}{apart[1]}")
    parts.extend(f"{name} {_short(value)}" for name, value in snapshot.losses.items())
    parts.append(_duration(snapshot.elapsed_s))
    if snapshot.left_s is not None and snapshot.fraction < 1:
        parts.append(f"{_duration(snapshot.left_s)} left")
    return parts


def _progress(snapshot: Snapshot) -> list[str]:
    """Describe how far the run is, and how fast."""
    spread = snapshot.spread
    of_episodes = "" if is_steps_alone(snapshot.n_episodes, snapshot.n_steps) else f"/{snapshot.n_episodes:,}"
    of_steps = f"/{snapshot.n_steps:,}" if snapshot.n_steps else ""
    if spread is None:
        rate = "" if snapshot.steps_per_second is None else f" ({snapshot.steps_per_second:,.0f}/s)"
        return [f"episode {snapshot.episode:,}{of_episodes}", f"step {snapshot.step:,}{of_steps}{rate}"]
    seeds = f"{spread.n_seeds} seeds" + (f", {spread.n_done} done" if spread.n_done else "")
    in_all = (snapshot.steps_per_second or 0.0) * max(1, spread.n_seeds - spread.n_done)
    rate = f" ({in_all:,.0f}/s in all)" if in_all else ""
    return [seeds, f"episode {_range(spread.episodes)}{of_episodes}", f"step {_range(spread.steps)}{of_steps}{rate}"]


def _range(ends: tuple[int, int]) -> str:
    low, high = ends
    return f"{low:,}" if low == high else f"{low:,}..{high:,}"


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


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _std(values: Sequence[float]) -> float:
    """Return the deviation, 0 of fewer than two values."""
    mean = _mean(values) if values else 0.0
    return math.sqrt(_mean([(value - mean) ** 2 for value in values])) if values else 0.0


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
