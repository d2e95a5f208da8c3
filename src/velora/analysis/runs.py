"""Read the learning curves of runs, and tell which runs are seeds of one curve and which differ in their settings."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from velora.analysis.statistics import Floats
from velora.core.errors import RunDirectoryError
from velora.metrics import DATABASE_NAME, queries
from velora.metrics.rows import ExperimentRow

logger = logging.getLogger(__name__)

_ENV = "env."


@dataclass(frozen=True, slots=True)
class SeedCurve:
    """The learning curve of one seed: (steps, returns) of its episodes, and of its evaluations."""

    steps: Floats
    returns: Floats
    evaluation_steps: Floats
    evaluation_means: Floats


@dataclass(frozen=True, slots=True)
class _Run:
    """A run in a store.

    Attributes:
        settings: name to text, as on the command line; unknown ones are missing.
    """

    database: Path
    row: ExperimentRow
    settings: Mapping[str, str]

    @property
    def task(self) -> str:
        return f"{self.row.agent} on {self.row.environment}"


def find_databases(paths: Sequence[str | Path]) -> list[Path]:
    """Find the stores below some paths: a run directory has one, a directory of runs (a sweep) has many.

    Raises:
        RunDirectoryError: if there is none below one of them.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        here = [path] if path.is_file() else sorted(path.rglob(DATABASE_NAME))
        if not here:
            raise RunDirectoryError(f"{path}: expected a run directory with {DATABASE_NAME}, found none in or below it")
        found.extend(here)
    return found


def load_curves(paths: Sequence[str | Path]) -> dict[str, list[SeedCurve]]:
    """Read every seed of every run below some paths; runs that differ in nothing but their seed share a label.

    A label names the agent, the environment, and the settings in which runs of the two differ. Settings count that
    change the result of learning: the agent's and, of a run from the command line, batch size, callbacks and the
    environment's keywords and wrappers. How long a run lasted, and what it logged and saved, does not.

    Episodes whose return isn't finite are left out, and counted in the log.

    Raises:
        RunDirectoryError: if there is no store, or no finished episode in any.
    """
    runs = [run for database in find_databases(paths) for run in _runs_in(database)]
    groups: dict[str, list[SeedCurve]] = {}
    for label, run in zip(_labels(runs), runs, strict=True):
        for seed in run.row.seeds:
            if curve := _load_seed(run.database, run.row.run_id, seed):
                groups.setdefault(label, []).append(curve)
    if not groups:
        raise RunDirectoryError(f"{', '.join(map(str, paths))}: expected finished episodes, found none; train first")
    return groups


def _runs_in(database: Path) -> Iterator[_Run]:
    for row in queries.experiments(database):
        settings = {**{f"agent.{name}": value for name, value in row.settings.items()}, **row.run_settings}
        yield _Run(database, row, {name: _text(value) for name, value in settings.items()})


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _labels(runs: Sequence[_Run]) -> list[str]:
    """Name each run's curve: what is trained on what, and the settings in which such runs differ."""
    tasks: dict[str, list[_Run]] = {}
    for run in runs:
        tasks.setdefault(run.task, []).append(run)
    values: dict[tuple[str, str], set[str]] = {}
    settings = [_with_default_keywords(run, tasks[run.task]) for run in runs]
    for run, known in zip(runs, settings, strict=True):
        for name, value in known.items():
            values.setdefault((run.task, name), set()).add(value)
    return [
        ", ".join([run.task, *(f"{name}={known[name]}" for name in sorted(known) if len(values[run.task, name]) > 1)])
        for run, known in zip(runs, settings, strict=True)
    ]


def _with_default_keywords(run: _Run, alike: Sequence[_Run]) -> Mapping[str, str]:
    """Add the settings of the environment that other runs set and this one, whose settings are known, did not."""
    if not run.row.run_settings:
        return run.settings
    keywords = {name for other in alike for name in other.settings if name.startswith(_ENV)}
    return {**dict.fromkeys(keywords, "default"), **run.settings}


def _load_seed(database: Path, run_id: str, seed: int) -> SeedCurve | None:
    """Read one seed; None if it has finished no episode."""
    steps, returns = queries.learning_curve(database, run_id=run_id, seed=seed)
    finite = np.isfinite(returns)
    if not finite.all():
        logger.warning("%s: %d episodes of seed %d have no finite return", database, (~finite).sum(), seed)
    if not finite.any():
        return None
    rounds = queries.evaluations(database, run_id=run_id, seed=seed)
    return SeedCurve(
        steps=steps[finite].astype(np.float64),
        returns=returns[finite],
        evaluation_steps=np.array([r.step for r in rounds], dtype=np.float64),
        evaluation_means=np.array([r.mean for r in rounds], dtype=np.float64),
    )
