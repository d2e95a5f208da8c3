"""What a run is."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from velora.analysis.find import read_runs
from velora.analysis.run import Run
from velora.analysis.status import STATUSES
from velora.analysis.table import duration
from velora.checkpoint import Checkpoint
from velora.checkpoint.choice import choose_checkpoints
from velora.checkpoint.layout import find_home, listed, seed_directories
from velora.cli.run import run_directory
from velora.cli.run.report import can_go_on
from velora.cli.settings import budget
from velora.cli.show.changed import changed_settings
from velora.cli.show.checkpoint import commands, files, of_agent
from velora.core.errors import CheckpointError, RunDirectoryError
from velora.models.portrait import counted

_SHOWN = 5


def of_run(path: Path) -> Iterator[tuple[str, str]]:
    """Describe the newest run in a directory.

    Raises:
        RunDirectoryError: if it holds no run.
    """
    runs = read_runs(path)
    has_settings = (path / run_directory.CONFIG).exists()
    if not (has_settings or (path / run_directory.METRICS).exists()):
        raise RunDirectoryError(
            f"{path}: no run and no checkpoint; velora runs {shlex.quote(str(path))} lists runs below"
        )
    run = runs[-1]
    yield "run", str(path)
    yield "status", f"{run.status}: {run.reason or STATUSES.get(run.status, '')}"
    yield "time", _time(run)
    yield from _agent(path, run)
    settings = run_directory.load_settings(path) if has_settings else None
    if settings is not None:
        yield "settings", " ".join(changed_settings(settings)) or "the defaults"
    yield from _reached(run)
    yield "checkpoints", _checkpoints(path)
    yield "files", files(path)
    yield "", ""
    resumable = path if settings is not None and can_go_on(settings) and run.status != "running" else None
    further = (
        []
        if settings is None or run.status != "finished"
        else [budget.doubled(settings, episode=run.n_episodes, step=run.n_steps)]
    )
    yield from commands(path, resumable, *further, plays=_checkpoints(path) != "none")
    yield "plot", f"velora plot {shlex.quote(str(path))}"
    yield "verify", f"velora verify {shlex.quote(str(path))}"


def _time(run: Run) -> str:
    at = (("began", run.started_at), ("ended", run.finished_at))
    parts = [f"{name} {_clock(time)}" for name, time in at if time]
    return ", ".join([*parts, f"{duration(run.seconds)} of training"])


def _clock(time: str) -> str:
    """Write a time for people.

    Example:
        >>> _clock("2026-11-23T14:03:22+00:00")
        '2026-11-23 14:03:22 UTC'
    """
    return time.replace("T", " ").replace("+00:00", " UTC")


def _agent(path: Path, run: Run) -> Iterator[tuple[str, str]]:
    """Describe the agent by its best checkpoint, or by the rows of a run that has none."""
    try:
        chosen = choose_checkpoints(path)
    except CheckpointError:
        yield "agent", f"{run.agent}, on {run.environment}"
        return
    yield from (fact for fact in of_agent(Checkpoint.open(chosen[0])) if len(run.seeds) == 1 or fact[0] != "trained")
    if len(run.seeds) > 1:
        yield "seeds", f"{len(run.seeds)}: {listed(run.seeds)}; shown is {chosen[0].parent.name}"


def _reached(run: Run) -> Iterator[tuple[str, str]]:
    """Say how far the seeds are, and what they earned."""
    budget = [counted(n, noun) for n, noun in zip(run.budget, ("episode", "step"), strict=True) if n is not None]
    within = f", of at most {' or '.join(budget)}" if budget else ""
    of_each = " (the seed that has most)" if len(run.seeds) > 1 else ""
    yield "reached", f"{counted(run.n_episodes, 'episode')}, {counted(run.n_steps, 'step')}{of_each}{within}"
    returns, best = run.returns(), run.returns(best=True)
    for name, values in (("return", returns), *([("best", best)] if best != returns else [])):
        known = [value for value in values if math.isfinite(value)]
        if known:
            what = "evaluated" if run.is_evaluated else "mean of the last episodes"
            over = f", mean of {counted(len(known), 'seed')}" if len(values) > 1 else ""
            yield name, f"{sum(known) / len(known):.1f}, {what}{over}"
    yield from _evaluations(run)


def _evaluations(run: Run) -> Iterator[tuple[str, str]]:
    rows: Sequence[Any] = run.evaluations() if run.run_id else []
    if len(run.seeds) > 1 or not rows:
        return
    said = [f"{row['mean']:.1f} ± {row['std']:.1f} at step {row['step']:,}" for row in rows[-_SHOWN:]]
    earlier = f"; {len(rows) - _SHOWN} earlier" if len(rows) > _SHOWN else ""
    yield "evaluations", "; ".join(reversed(said)) + earlier


def _checkpoints(path: Path) -> str:
    home = find_home(path)
    homes = list(seed_directories(home).values()) or [home]
    if not homes[0].is_dir() or homes[0] == path:
        return "none"
    found = sorted(one for one in homes[0].iterdir() if one.is_dir() and not one.name.startswith("."))
    each = f" of each of {len(homes)} seeds" if len(homes) > 1 else ""
    names = sorted((one.name for one in found), key=lambda name: (name[:2] == "ep", len(name), name))
    return ", ".join(names) + each if names else "none"
