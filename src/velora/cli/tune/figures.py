"""Pictures of a study: how it went, what mattered, and what the return is at each value of a setting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from velora.analysis.drawing import TEXT, dress, make_figure, text_width
from velora.analysis.palette import LIGHT
from velora.cli.tune.options import COSTS
from velora.cli.tune.outcome import Outcome, Trial
from velora.cli.tune.space import Interval

_SIZE: Final = (5.6, 3.4)
_BLUE, _RED, _GREEN = LIGHT.series[:3]
MOST_SLICES: Final = 8
"""Settings that get a picture of their own: those that matter most."""
COST_NAMES: Final = {"parameters": "parameters of the policy", "ms_per_action": "milliseconds per action"}


@dataclass(frozen=True)
class Picture:
    """A figure, its name in files, and what it says to somebody who doesn't see it."""

    name: str
    title: str
    description: str
    figure: Any


def draw(outcome: Outcome) -> Iterator[Picture]:
    """Draw all that a study has data for.

    Raises:
        VeloraError: if matplotlib isn't installed.
    """
    complete = [trial for trial in outcome.trials if trial.state in ("complete", "infeasible")]
    if not complete:
        return
    yield _history(outcome, complete)
    if outcome.importances:
        yield _importances(outcome)
    if outcome.request.options.minimise:
        yield from (_front(outcome, complete, at) for at in range(len(outcome.request.options.minimise)))
    if any(len(trial.curve) > 1 for trial in outcome.trials):
        yield _curves(outcome)
    names = list(outcome.importances) or list(outcome.request.space)
    yield from (_slice(outcome, complete, name) for name in names[:MOST_SLICES])


def _panel(*, title: str, below: str, across: str, left: float = 0.75) -> tuple[Any, Any]:
    figure = make_figure(*_SIZE)
    width, height = _SIZE
    axes = figure.add_axes((left / width, 0.55 / height, (width - left - 0.15) / width, (height - 1.15) / height))
    dress(axes, title=title, below=below, across=across, left=left - 0.05)
    return figure, axes


def _scatter(axes: Any, trials: Sequence[Trial], across: Sequence[Any], *, colour: str, marker: str = "o") -> None:
    values = [trial.values[0] for trial in trials]
    axes.scatter(across, values, s=26, color=colour, marker=marker, linewidths=1.0, alpha=0.85, zorder=3)


def _history(outcome: Outcome, complete: Sequence[Trial]) -> Picture:
    figure, axes = _panel(title="How it went", below="return; the line is the best so far", across="trial")
    pruned = [trial for trial in outcome.trials if trial.state == "pruned" and trial.values]
    _scatter(axes, complete, [trial.number for trial in complete], colour=_BLUE)
    _scatter(axes, pruned, [trial.number for trial in pruned], colour=LIGHT.muted, marker="x")
    feasible = [trial for trial in complete if trial.state == "complete"]
    if feasible:
        best = np.maximum.accumulate([trial.values[0] for trial in feasible])
        axes.step([trial.number for trial in feasible], best, where="post", color=_RED, linewidth=2.0)
    told = f"{len(complete)} complete trials" + (f", {len(pruned)} pruned (crosses)" if pruned else "")
    return Picture("history", "How it went", f"Return of {told}, and the best so far.", figure)


def _importances(outcome: Outcome) -> Picture:
    names = list(outcome.importances)[::-1]
    shares = [100 * outcome.importances[name] for name in names]
    probe = make_figure(*_SIZE)
    left = min(3.2, 0.35 + text_width(probe, names))
    below = "share of what the return depends on, in percent"
    figure, axes = _panel(title="What mattered", below=below, across="percent", left=left)
    axes.barh(range(len(names)), shares, height=0.62, color=_BLUE)
    axes.set_yticks(range(len(names)), names, fontsize=TEXT, color=LIGHT.muted)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.grid(visible=False, axis="y")
    told = ", ".join(f"{name} {share:.0f} %" for name, share in zip(names[::-1], shares[::-1], strict=True))
    return Picture("importances", "What mattered", f"Share of each setting: {told}.", figure)


def _front(outcome: Outcome, complete: Sequence[Trial], at: int) -> Picture:
    name = outcome.request.options.minimise[at]
    assert name in COSTS
    title = f"Return against {COST_NAMES[name]}"
    below = "return; joined: no other trial is better in everything"
    figure, axes = _panel(title=title, below=below, across=COST_NAMES[name])
    best = sorted(outcome.best, key=lambda trial: trial.values[at + 1])
    others = [trial for trial in complete if trial not in outcome.best]
    _scatter(axes, others, [trial.values[at + 1] for trial in others], colour=LIGHT.muted)
    _scatter(axes, best, [trial.values[at + 1] for trial in best], colour=_RED)
    if len(outcome.request.options.minimise) == 1:
        axes.plot([t.values[1] for t in best], [t.values[0] for t in best], color=_RED, linewidth=1.4)
    return Picture(f"front-{name.replace('_', '-')}", title, f"{len(best)} trials that no other one beats.", figure)


def _curves(outcome: Outcome) -> Picture:
    below = "return of each trial at its evaluations; the best stands out"
    figure, axes = _panel(title="Along the way", below=below, across="evaluation")
    best = outcome.best[0].number if outcome.best else None
    for trial in sorted(outcome.trials, key=lambda one: one.number == best):
        own = sorted(trial.curve.items())
        colour = _RED if trial.number == best else LIGHT.muted if trial.state == "pruned" else _BLUE
        width = 2.0 if trial.number == best else 0.9
        axes.plot(*zip(*own, strict=True) if own else ((), ()), color=colour, linewidth=width, marker="o", markersize=3)
    return Picture("curves", "Along the way", "Return of each trial at its evaluations.", figure)


def _slice(outcome: Outcome, complete: Sequence[Trial], name: str) -> Picture:
    figure, axes = _panel(title=name, below="return; the best trial stands out", across="")
    dimension = outcome.request.space[name]
    known = list(getattr(dimension, "values", ()))
    best = {trial.number for trial in outcome.best[:1]}
    for trial in sorted(complete, key=lambda one: one.number in best):
        value = trial.params[name]
        at = known.index(value) if known else value
        _scatter(axes, [trial], [at], colour=_RED if trial.number in best else _BLUE)
    if known:
        axes.set_xticks(range(len(known)), [text[:24] for text in known], fontsize=TEXT, color=LIGHT.muted)
        axes.set_xlim(-0.5, len(known) - 0.5)
    elif isinstance(dimension, Interval) and dimension.is_log:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter(lambda value, _: "")
        axes.tick_params(axis="x", which="both", length=0, labelsize=TEXT, labelcolor=LIGHT.muted)
    told = f"Return of {len(complete)} trials against {name}."
    return Picture(f"setting-{''.join(c if c.isalnum() else '-' for c in name)}", name, told, figure)
