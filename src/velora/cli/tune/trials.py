"""Which trial a worker takes next: one that a dead worker has left, or a new one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from filelock import FileLock, Timeout

from velora.cli.tune import storage
from velora.cli.tune.options import Options
from velora.cli.tune.request import Request
from velora.core import disk

if TYPE_CHECKING:
    import optuna

_LOCK: Final = ".lock"
RETURNS, REASON, SAME_AS = "returns", "reason", "same_as"
"""Attributes of a trial: the return of each seed, why it failed or was pruned, and the trial of the same settings that
it took its result from."""
STARTUP_TRIALS: Final = 10
"""Random trials that TPE and GP begin with, and whose evaluations pruning waits for half of."""


@dataclass(frozen=True)
class Claim:
    """A trial that belongs to this process, and its directory."""

    trial: optuna.Trial
    directory: Path

    @property
    def number(self) -> int:
        """Its number in the study."""
        return self.trial.number


def directory_of(home: Path, number: int) -> Path:
    """Return the directory of a trial."""
    return home / f"trial{number:04d}"


@contextmanager
def claimed(home: Path, study: optuna.Study, request: Request) -> Iterator[Claim | None]:
    """Take the next trial of a study, and hold its lock, which tells others that somebody is at it.

    The system frees the lock of a process that dies, by whatever it dies: a trial that runs according to the journal,
    and whose lock is free, is taken up first. So none is lost, none is trained twice, and none needs a clock.

    Yields:
        The trial; ``None`` if all that the study is to have are finished, or others are at them.
    """
    with storage.claiming(home):
        found = _left(home, study, request) or _new(home, study, request)
    if found is None:
        yield None
        return
    claim, lock = found
    try:
        yield claim
    finally:
        lock.release()


def _left(home: Path, study: optuna.Study, request: Request) -> tuple[Claim, FileLock] | None:
    """Find a trial that has begun and that nobody is at.

    Its worker may have died between two values that it drew; the others are drawn now.
    """
    import optuna

    for frozen in study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
        if lock := _locked(home, frozen.number):
            now = study.get_trials(deepcopy=False)[frozen.number]
            if now.state == optuna.trial.TrialState.RUNNING:
                study.sampler = make_sampler(request.options, now.number)
                trial = optuna.Trial(study, now._trial_id)
                for name, dimension in request.space.items():
                    trial._suggest(name, dimension.distribution())  # what is known already stays
                return Claim(trial, directory_of(home, now.number)), lock
            lock.release()
    return None


def _new(home: Path, study: optuna.Study, request: Request) -> tuple[Claim, FileLock] | None:
    n_begun = len(study.get_trials(deepcopy=False))
    if n_begun >= storage.n_trials(study):
        return None
    study.sampler = make_sampler(request.options, n_begun)
    trial = study.ask({name: dimension.distribution() for name, dimension in request.space.items()})
    lock = _locked(home, trial.number)
    assert lock is not None  # the claim keeps others away
    return Claim(trial, directory_of(home, trial.number)), lock


def _locked(home: Path, number: int) -> FileLock | None:
    directory = directory_of(home, number)
    disk.make_directory(directory)
    lock = FileLock(directory / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock


def is_running(home: Path, number: int) -> bool:
    """Return whether a process is at a trial, or nobody can know; needs :func:`velora.cli.tune.storage.claiming`.

    Without it, a worker that looks for a trial to take up could find this look's lock on it.
    """
    try:
        lock = _locked(home, number)
    except OSError:
        return True
    if lock is not None:
        lock.release()
    return lock is None


def make_sampler(options: Options, n_begun: int) -> Any:
    """Make the sampler for one trial, whose random numbers depend on the study's seed and on its place alone.

    So several workers draw different ones, and a study that was stopped goes on with those it would have drawn.
    """
    import optuna

    seed = int(np.random.SeedSequence([options.sampler_seed, n_begun]).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if options.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        if options.sampler == "gp":
            return optuna.samplers.GPSampler(seed=seed, n_startup_trials=STARTUP_TRIALS)
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS)


def make_pruner(options: Options, n_rounds: int | None) -> Any:
    """Make what judges a trial by its evaluations so far.

    Args:
        n_rounds: evaluations of a whole trial; ``None`` if that can't be known.
    """
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if options.pruner == "median":
            return optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS // 2)
        if options.pruner == "hyperband":
            return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=n_rounds or "auto")
        if options.pruner == "wilcoxon":
            return optuna.pruners.WilcoxonPruner()
        return optuna.pruners.NopPruner()
