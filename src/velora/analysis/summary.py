"""A sweep's table: what its jobs reached, over the seeds of each combination of settings."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from velora.analysis.collection import Runs
from velora.analysis.columns import mean
from velora.analysis.rows import Rows
from velora.analysis.run import Run
from velora.analysis.statistics import Floats, interquartile_mean, stratified_bootstrap

FEWEST_SEEDS = 3
"""Of so many seeds on, resampling them says something about the others that weren't tried."""
_OF_ALL = frozenset({"agent", "env", "train.seed", "train.seeds"})
"""Words that are columns of their own, or what a row is made over."""
COLUMNS = ("agent", "env", "seeds", "return", "low", "high", "best", "time", "unfinished")


def summarise(runs: Runs, words: Mapping[Path, Mapping[str, str]] | None = None) -> Rows:
    """Make a row for each combination of agent, environment and settings, over the seeds of all its runs.

    A row holds ``agent``, ``env``, the settings in which runs differ, ``seeds`` (how many have a return), ``return``
    (their interquartile mean, which is the mean of up to three), ``low`` and ``high`` (its 95 % bootstrap interval,
    from three seeds on), ``best`` (the best seed), ``time`` (seconds of a run, on average) and ``unfinished`` (runs
    that are not finished). The order is that of the first run of each.

    Only finished runs count, by their newest evaluation, or by their last episodes where they have none. Those that
    never began are left out: nothing tells what they would have been.

    Args:
        runs: the runs.
        words: for the directories of a sweep's jobs, the settings in which they were meant to differ; ``None`` looks
            for those in which they do.
    """
    names = runs.differing() if words is None else []
    groups: dict[str, Runs] = {}
    settings = {}
    for run in runs:
        if not run.run_id:
            continue
        own = runs.settings(run) if words is None else words.get(run.directory, {})
        chosen = {name: own.get(name) for name in (names if words is None else own) if name not in _OF_ALL}
        values = {"agent": run.agent or None, "env": run.environment or None, **chosen}
        key = json.dumps(values, default=str)
        groups.setdefault(key, Runs()).append(run)
        settings[key] = values
    return Rows({**settings[key], **_reached(own)} for key, own in groups.items())


def _reached(runs: Sequence[Run]) -> dict[str, float | int | None]:
    done = [run for run in runs if run.status == "finished"]
    returns = np.array([value for run in done for value in run.returns() if math.isfinite(value)])
    low, high = _interval(returns)
    return {
        "seeds": len(returns),
        "return": float(interquartile_mean(returns)) if len(returns) else None,
        "low": low,
        "high": high,
        "best": float(returns.max()) if len(returns) else None,
        "time": mean([run.seconds for run in done]),
        "unfinished": len(runs) - len(done),
    }


def _interval(returns: Floats) -> tuple[float | None, float | None]:
    if len(returns) < FEWEST_SEEDS:
        return None, None
    low, high = stratified_bootstrap([returns], lambda strata: interquartile_mean(strata[0]))
    return float(low), float(high)
