"""What a study has found so far, as plain values: for the table, the page and the settings to train with."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from velora.cli.tune import storage, trials
from velora.cli.tune.options import COSTS
from velora.cli.tune.request import Request
from velora.core.errors import RunDirectoryError

if TYPE_CHECKING:
    import optuna

_FEWEST: Final = 10
"""Complete trials from which on it is said what mattered."""


@dataclass(frozen=True)
class Trial:
    """One trial.

    Attributes:
        state: ``complete``, ``pruned``, ``failed``, ``running``, ``left`` by a process that died, or ``infeasible``.
        values: the objectives, the return first; of a pruned one the last value reported.
        params: what was drawn, by the names of the settings.
        returns: of each seed, in order.
        curve: what was reported along the way, by round.
        cost: what its policy costs.
        reason: why it failed or was pruned, or what it is the same as.
        is_repeated: an earlier trial had the same settings, whose result it took.
        seconds: from beginning to end; ``None`` while it runs.
    """

    number: int
    state: str
    values: tuple[float, ...]
    params: Mapping[str, Any]
    returns: Sequence[float]
    curve: Mapping[int, float]
    cost: Mapping[str, float]
    reason: str
    is_repeated: bool
    seconds: float | None

    @property
    def spread(self) -> float | None:
        """The standard deviation over seeds; ``None`` of one."""
        return float(np.std(self.returns)) if len(self.returns) > 1 else None


@dataclass(frozen=True)
class Outcome:
    """All trials of a study, and which of them are best."""

    home: Path
    name: str
    request: Request
    n_trials: int
    trials: Sequence[Trial]
    best: Sequence[Trial]
    importances: Mapping[str, float]

    def count(self, *states: str) -> int:
        """Count the trials in some states."""
        return sum(trial.state in states for trial in self.trials)

    @property
    def n_ended(self) -> int:
        """How many have ended, in whatever way."""
        return len(self.trials) - self.count("running", "left")


def look(home: Path, study: optuna.Study, *, with_importances: bool = True) -> Outcome:
    """Read what a study has found.

    Raises:
        RunDirectoryError: if a trial isn't one of such a study.
    """
    request = storage.request_of(study)
    with _claiming(home):
        found = [_checked(home, frozen, request) for frozen in study.get_trials(deepcopy=False)]
    complete = [trial for trial in found if trial.state == "complete" and not trial.is_repeated]
    best = sorted(_front(complete), key=lambda trial: -trial.values[0])
    importances = _importances(study, complete) if with_importances else {}
    return Outcome(home, study.study_name, request, storage.n_trials(study), found, best, importances)


@contextmanager
def _claiming(home: Path) -> Iterator[None]:
    """Keep workers from choosing a trial meanwhile, unless the directory can only be read."""
    with ExitStack() as stack:
        with suppress(OSError):
            stack.enter_context(storage.claiming(home))
        yield


def _checked(home: Path, frozen: optuna.trial.FrozenTrial, request: Request) -> Trial:
    """Read a trial; anything may have been written into a study, by Optuna's own commands too."""
    try:
        trial = _trial(home, frozen, request)
        is_whole = len(trial.values) == len(request.options.directions) and trial.params.keys() >= request.space.keys()
        if is_whole or trial.state not in ("complete", "infeasible"):
            return trial
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
        pass
    raise RunDirectoryError(
        f"{home}: trial {frozen.number} isn't one that velora tune has written; begin another study="
    )


def _trial(home: Path, frozen: optuna.trial.FrozenTrial, request: Request) -> Trial:
    noted = frozen.user_attrs
    state = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}.get(frozen.state.name)
    if state is None:
        state = "running" if trials.is_running(home, frozen.number) else "left"
    cost = {name: float(noted[name]) for name in COSTS if name in noted}
    if state == "complete" and any(cost[name] > limit for name, limit in request.options.limits.items()):
        state = "infeasible"
    duration, is_repeated = frozen.duration, trials.SAME_AS in noted
    return Trial(
        frozen.number,
        state,
        tuple(frozen.values or ()),
        dict(frozen.params),
        [float(value) for value in noted.get(trials.RETURNS, {}).values()],
        dict(frozen.intermediate_values),
        cost,
        f"same as trial {noted[trials.SAME_AS]}" if is_repeated else str(noted.get(trials.REASON, "")),
        is_repeated,
        None if duration is None else duration.total_seconds(),
    )


def _front(complete: Sequence[Trial]) -> list[Trial]:
    """Find the trials that no other one beats: in one objective all in order, in several those on the Pareto front."""
    if not complete or len(complete[0].values) == 1:
        return list(complete)
    signs = np.array([1.0, *[-1.0] * (len(complete[0].values) - 1)])
    points = np.array([trial.values for trial in complete]) * signs
    return [
        trial
        for trial, own in zip(complete, points, strict=True)
        if not ((points >= own).all(axis=1) & (points > own).any(axis=1)).any()
    ]


def _importances(study: optuna.Study, complete: Sequence[Trial]) -> dict[str, float]:
    """Estimate how much each setting matters for the return, by what sets the best tenth of the trials apart.

    From fewer than ten there is nothing: that tenth would be one trial at most, and its luck.

    Source:
        PED-ANOVA, Watanabe et al. 2023, as Optuna has it.
    """
    import optuna

    if len(complete) < _FEWEST or len({trial.values[0] for trial in complete}) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that dimensions are experimental, or that a few trials are few
        found = optuna.importance.get_param_importances(study, target=lambda trial: trial.values[0])
    return {name: float(share) for name, share in found.items()}
