"""The work of one process of a study: one trial after the other, until the study has enough of them."""

from __future__ import annotations

import errno
import logging
import os
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from omegaconf import DictConfig

from velora.cli.command.mistakes import is_mistake, one_line
from velora.cli.run import claim, run_directory
from velora.cli.run.training import train_claimed
from velora.cli.sweep.job import can_go_on, clear
from velora.cli.tune import measure, storage, trials
from velora.cli.tune.request import Request
from velora.cli.tune.trials import Claim
from velora.cli.tune.watch import Watch
from velora.core.errors import NonFiniteError, VeloraError
from velora.core.terminal import complain

if TYPE_CHECKING:
    import optuna

MOST_FAILURES: Final = 3
"""Failed trials after which a study without a finished one is given up: what they have in common is to blame."""
LOG: Final = "trial.log"
log = logging.getLogger(__name__)


class GivenUpError(VeloraError):
    """Report that the first trials of a study have all failed."""


class DiskFullError(VeloraError):
    """Report that nothing more can be written: no fault of the trial, which goes on when there is room."""


def work(home: Path) -> None:
    """Train trials until the study has enough.

    Raises:
        GivenUpError: if the first ones fail.
        DiskFullError: if there is no room; the trial goes on when the study does.
        VeloraError: if the study can't be read.
    """
    study = storage.load(home)
    request = storage.request_of(study)
    seeds = request.seeds()
    while True:
        _check_hopeful(study)
        with trials.claimed(home, study, request) as own:
            if own is None:
                return
            _run(study, request, own, seeds)


def _check_hopeful(study: optuna.Study) -> None:
    import optuna

    found = study.get_trials(deepcopy=False)
    failed = [trial for trial in found if trial.state == optuna.trial.TrialState.FAIL]
    if len(failed) >= MOST_FAILURES and not any(
        trial.state in (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED) for trial in found
    ):
        raise GivenUpError(
            f"the first {len(failed)} trials failed, the last of them: {failed[-1].user_attrs[trials.REASON]}"
        )


def _run(study: optuna.Study, request: Request, own: Claim, seeds: tuple[int, ...]) -> None:
    """Train one trial, or what is left of it, and tell the study how it went."""
    import optuna

    states, trial = optuna.trial.TrialState, own.trial
    if twin := _twin(study, trial):
        _note(trial, {**twin.user_attrs, trials.SAME_AS: twin.number})
        _limit(request, trial, twin.user_attrs)
        study.tell(trial, list(twin.values))
        return
    with _logged(own.directory / LOG):
        try:
            cfg = request.compose(trial.params)
            study.pruner = trials.make_pruner(request.options, _n_rounds(cfg))
            reason, found = _train(request, own, cfg, seeds)
        except Exception as error:
            if is_full(error):
                raise DiskFullError(f"{own.directory}: the disk is full; make room, and go on with resume=") from error
            has_diverged = isinstance(error, NonFiniteError)
            complain(f"{one_line(error)}\n" if is_mistake(error) else traceback.format_exc())
            trial.set_user_attr(trials.REASON, one_line(error))
            study.tell(trial, state=states.PRUNED if has_diverged else states.FAIL)
            return
    if reason is not None:
        trial.set_user_attr(trials.REASON, reason)
        study.tell(trial, state=states.PRUNED)
        return
    study.tell(trial, found)


def _train(request: Request, own: Claim, cfg: DictConfig, seeds: tuple[int, ...]) -> tuple[str | None, list[float]]:
    """Train the seeds of a trial, side by side or one after the other.

    Returns:
        Why the trial was pruned, or ``None`` and its objectives.
    """
    options, trial = request.options, own.trial
    parts = [(f"seed{seed}", (seed,)) for seed in seeds] if options.is_in_sequence else [("run", seeds)]
    found: dict[int, float] = {}
    cost: dict[str, float] = {}
    for at, (name, some) in enumerate(parts):
        watch = Watch(trial, options)
        _go_on(_with_seeds(cfg, some, in_sequence=options.is_in_sequence), own.directory / name, watch)
        found |= measure.returns(own.directory / name, options)
        cost = watch.cost
        _note(trial, {trials.RETURNS: {str(seed): value for seed, value in found.items()}, **cost})
        if watch.lost:
            return f"diverged: seed {watch.lost[0]} met NaN or infinity", []
        if watch.pruned_at is not None:
            return f"pruned after evaluation {watch.pruned_at}", []
        if options.is_in_sequence:
            _report(trial, found[some[0]], at)
            if at + 1 < len(parts) and trial.should_prune():
                return f"pruned after {at + 1} of {len(parts)} seeds", []
    _limit(request, trial, cost)
    return None, [options.summarise(list(found.values())), *(cost[name] for name in options.minimise)]


def is_full(error: BaseException) -> bool:
    """Return whether an error, or what it came from, is that of a full disk or a used-up quota."""
    cause = error.__cause__ or error.__context__
    is_own = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return is_own or (cause is not None and is_full(cause))


def _twin(study: optuna.Study, trial: optuna.Trial) -> optuna.trial.FrozenTrial | None:
    """Find a complete trial of the very same settings: training is exact, so it would end at the same numbers."""
    found = study.get_trials(deepcopy=False)
    same = (one for one in found if one.state.name == "COMPLETE" and one.params == trial.params)
    return next(same, None)


def _limit(request: Request, trial: optuna.Trial, cost: Mapping[str, Any]) -> None:
    """Tell the study by how much each cost is beyond its limit."""
    known = _kept(trial).constraints
    for name, limit in request.options.limits.items():
        if name not in known:
            trial.set_constraint(name, cost[name] - limit)


def _note(trial: optuna.Trial, attributes: Mapping[str, Any]) -> None:
    for name, value in attributes.items():
        trial.set_user_attr(name, value)


def _report(trial: optuna.Trial, value: float, step: int) -> None:
    if step not in _kept(trial).intermediate_values:
        trial.report(value, step)


def _kept(trial: optuna.Trial) -> optuna.trial.FrozenTrial:
    """Return what the study has of a trial."""
    return trial.study.get_trials(deepcopy=False)[trial.number]


def _with_seeds(cfg: DictConfig, seeds: tuple[int, ...], *, in_sequence: bool) -> DictConfig:
    own = cfg.copy()
    if in_sequence:
        own.train.seed, own.train.seeds = seeds[0], None
    return own


def _go_on(cfg: DictConfig, run_dir: Path, watch: Watch) -> None:
    """Train a run: from its newest checkpoints, or anew if there are none, which leads to the same bits."""
    with claim.claimed(run_dir):
        if (run_dir / run_directory.CONFIG).exists() and can_go_on(run_dir):
            cfg.resume = str(run_dir.absolute())
        else:
            clear(run_dir)
        train_claimed(cfg, run_dir, callbacks=[watch])


def _n_rounds(cfg: DictConfig) -> int | None:
    """Count the evaluations of a whole run, if its length is given in episodes."""
    every, n_steps = cfg.train.evaluate_every, cfg.train.n_steps
    return None if every is None or n_steps is not None else -(-cfg.train.n_episodes // every)


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Write what a trial prints and logs to its own file, what libraries write past Python too."""
    kept = os.dup(1), os.dup(2)
    with path.open("a", encoding="utf-8", buffering=1) as file, redirect_stdout(file), redirect_stderr(file):
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            for number, descriptor in zip(kept, (1, 2), strict=True):
                os.dup2(number, descriptor)
                os.close(number)
