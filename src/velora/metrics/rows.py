"""Records of the run store: of a run, a finished episode, a round of evaluation, a number that a callback logged."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from velora.core.version import __version__

_PACKAGES = ("torch", "numpy", "gymnasium", "lightning", "safetensors")


def now() -> str:
    """Return the time of the clock as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def installed_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a result depends on."""
    versions = {"python": platform.python_version(), "velora": __version__}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


@dataclass(frozen=True, slots=True)
class ExperimentRow:
    """A run: its agent and environment, settings and versions, and how it ended.

    ``settings`` are the agent's. ``run_settings`` are others that tell the run's curve from those of other runs, by
    their full names, such as ``train.batch_size``; a run from the command line has them. ``status`` is ``running``
    until the run ends, then ``finished``, ``stopped``, ``interrupted`` or ``crashed``; a run that was killed stays
    ``running``. ``n_episodes`` and ``n_steps`` are its budget for each seed; ``None`` is no limit, or of an older file.
    """

    run_id: str
    agent: str
    environment: str
    seeds: tuple[int, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=installed_versions)
    started_at: str = field(default_factory=now)
    finished_at: str | None = None
    status: str = "running"
    stop_reason: str | None = None
    run_settings: Mapping[str, Any] = field(default_factory=dict)
    n_episodes: int | None = None
    n_steps: int | None = None


@dataclass(frozen=True, slots=True)
class EpisodeRow:
    """Record a finished episode of one seed.

    ``seed`` is the run seed (not its position), ``step`` and ``updates`` are the totals at the episode's end,
    ``reward`` is the undiscounted return, ``length`` its steps, ``seconds`` its wall-clock time, the ``window_*`` are
    those of :class:`velora.core.types.WindowStats`, and ``metrics`` holds what the newest update reported
    (``actor/loss`` ...), empty before the first.
    """

    seed: int
    episode: int
    step: int
    updates: int
    reward: float
    length: int
    terminated: bool
    truncated: bool
    reset_seed: int
    window_mean: float
    window_std: float
    window_max: float
    window_count: int
    seconds: float
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """Record a round of evaluation episodes of one seed: when in training, and the return of each."""

    seed: int
    step: int
    episode: int
    returns: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Average the returns."""
        with np.errstate(all="ignore"):  # an infinite return is data, not a warning
            return float(np.mean(self.returns))

    @property
    def std(self) -> float:
        """Return the standard deviation of the returns (of the population: divides by n)."""
        with np.errstate(all="ignore"):
            return float(np.std(self.returns))


@dataclass(frozen=True, slots=True)
class LoggedRow:
    """Record a number that a callback logged for one seed, and where in training: steps, updates, finished episodes."""

    seed: int
    name: str
    step: int
    updates: int
    episode: int
    value: float
