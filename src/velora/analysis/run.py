"""A run as it lies on the disk: what it is, how far it has come, and every number that it has recorded."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from velora.analysis.rows import Rows
from velora.core.errors import SettingError
from velora.core.names import did_you_mean
from velora.metrics import EpisodeRow, LoggedRow, queries
from velora.metrics.standing import Standing

RETURN, LENGTH, SECONDS, EVALUATION = "return", "length", "seconds", "evaluation"
_OF_EPISODES = {RETURN: "reward", LENGTH: "length", SECONDS: "seconds"}


@dataclass(frozen=True, slots=True)
class Run:
    """Run in a directory. What it is was read once; its rows are read from ``metrics.db`` whenever they are asked for.

    Attributes:
        directory: where it lies.
        status: one of :data:`velora.analysis.status.STATUSES`.
        reason: why it was stopped or failed; ``None`` if nothing says.
        run_id: names it in its metrics and checkpoints; empty if it never began.
        agent: the agent's key, such as ``liquid_ddpg``.
        environment: the Gymnasium id.
        seeds: the run seeds.
        settings: those that change the result of learning, by their full names: ``agent.n_neurons`` and, of a run from
            the command line, ``train.batch_size``, ``callbacks``, ``env.kwargs.g`` and the like.
        budget: the episodes and steps after which each seed ends; ``None`` is no limit, or not known.
        standings: where each seed stands, in the order of ``seeds``.
        started_at: time in UTC as text; empty if it never began.
        finished_at: likewise; ``None`` if it has not ended by itself.
    """

    directory: Path
    status: str
    reason: str | None = None
    run_id: str = ""
    agent: str = ""
    environment: str = ""
    seeds: tuple[int, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    budget: tuple[int | None, int | None] = (None, None)
    standings: tuple[Standing, ...] = ()
    started_at: str = ""
    finished_at: str | None = None

    # ---- in short ------------------------------------------------------------------------------------------------

    @property
    def n_episodes(self) -> int:
        """Finished episodes, of the seed that has most."""
        return max((own.episodes for own in self.standings), default=0)

    @property
    def n_steps(self) -> int:
        """Environment steps, of the seed that has most."""
        return max((own.steps for own in self.standings), default=0)

    @property
    def seconds(self) -> float:
        """Wall-clock time of training, without the times between a stop and a resume."""
        return max((own.seconds for own in self.standings), default=0.0)

    @property
    def progress(self) -> float:
        """Share of the budget that is used up, from 0 to 1, averaged over seeds; NaN if the budget isn't known.

        Rows come with episodes and evaluations. So of a run that goes on, an episode under way doesn't count; one that
        has finished, and wasn't stopped before, has used up all.
        """
        if self.budget == (None, None):
            return math.nan
        if self.status == "finished" and self.reason is None:
            return 1.0
        return float(np.mean([_share(own, self.budget) for own in self.standings])) if self.standings else 0.0

    def returns(self, *, best: bool = False) -> tuple[float, ...]:
        """Return what each seed reached, NaN where it has no finite return yet.

        It is the mean return of the newest evaluation; while a seed has none, of its last episodes.

        Args:
            best: the best evaluation instead, or the best such mean.
        """
        return tuple(_best(own) if best else _newest(own) for own in self.standings)

    @property
    def is_evaluated(self) -> bool:
        """Whether every seed has been evaluated, so that :meth:`returns` are those of evaluations."""
        return bool(self.standings) and all(math.isfinite(own.evaluation) for own in self.standings)

    # ---- its rows ------------------------------------------------------------------------------------------------

    def episodes(self) -> Rows:
        """Read every finished episode: ``seed``, ``episode``, ``step``, ``updates``, ``return`` and what else there is.

        Raises:
            RunDirectoryError: if the run has no metrics.
        """
        rows = Rows(known=_EPISODE_COLUMNS)
        for episode in queries.episodes(self.directory, run_id=self._id()):
            own = dataclasses.asdict(episode)
            del own["metrics"]
            rows.append({RETURN if name == "reward" else name: value for name, value in own.items()})
        return rows

    def evaluations(self) -> Rows:
        """Read every evaluation: ``seed``, ``step``, ``episode``, ``mean``, ``std``, ``min``, ``max``, ``returns``.

        Raises:
            RunDirectoryError: if the run has no metrics.
        """
        rows = Rows(known=_EVALUATION_COLUMNS)
        for row in queries.evaluations(self.directory, run_id=self._id()):
            of_all = {"mean": row.mean, "std": row.std, "min": min(row.returns), "max": max(row.returns)}
            rows.append(
                {"seed": row.seed, "step": row.step, "episode": row.episode, **of_all, "returns": list(row.returns)}
            )
        return rows

    def losses(self) -> Rows:
        """Read what the newest update reported at each episode's end: ``seed``, ``episode``, ``step``, and each metric.

        Raises:
            RunDirectoryError: if the run has no metrics.
        """
        return Rows(
            {"seed": row.seed, "episode": row.episode, "step": row.step, **row.metrics}
            for row in queries.episodes(self.directory, run_id=self._id())
            if row.metrics
        )

    def logged(self, name: str | None = None) -> Rows:
        """Read what callbacks logged: ``seed``, ``name``, ``step``, ``updates``, ``episode``, ``value``.

        Args:
            name: of one metric; ``None`` for all.

        Raises:
            RunDirectoryError: if the run has no metrics.
        """
        found = queries.logged(self.directory, run_id=self._id(), name=name)
        return Rows((dataclasses.asdict(row) for row in found), known=_columns(LoggedRow))

    def metrics(self) -> list[str]:
        """List the names that :meth:`metric` knows.

        Raises:
            RunDirectoryError: if the run has no metrics.
        """
        return [*_OF_EPISODES, EVALUATION, *queries.metric_names(self.directory, run_id=self._id())]

    def metric(self, name: str) -> Rows:
        """Read one number along training, whoever recorded it: ``seed``, ``step`` and ``value``, by seed and step.

        Args:
            name: ``return``, ``length`` or ``seconds`` of episodes, ``evaluation`` (the mean of each), a metric of
                updates such as ``critic/loss``, or a name that a callback logged.

        Raises:
            SettingError: if nobody recorded it; the message names the nearest.
            RunDirectoryError: if the run has no metrics.
        """
        if name in _OF_EPISODES:
            own = _OF_EPISODES[name]
            return _series(queries.episodes(self.directory, run_id=self._id()), lambda row: float(getattr(row, own)))
        if name == EVALUATION:
            return _series(queries.evaluations(self.directory, run_id=self._id()), lambda row: row.mean)
        if logged := queries.logged(self.directory, run_id=self._id(), name=name):
            return _series(logged, lambda row: row.value)
        rows = [row for row in queries.episodes(self.directory, run_id=self._id()) if name in row.metrics]
        if not rows:
            known = self.metrics()
            hint = did_you_mean(name, known, f"it has {', '.join(known)}")
            raise SettingError(f"{self.directory}: nobody recorded {name!r}; {hint}")
        return _series(rows, lambda row: row.metrics[name])

    def _id(self) -> str:
        return self.run_id or "none"  # an empty one would be taken for the newest


def _series(rows: Sequence[Any], value: Callable[[Any], float]) -> Rows:
    return Rows({"seed": row.seed, "step": row.step, "value": value(row)} for row in rows)


def _columns(kind: type) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


_EPISODE_COLUMNS = [RETURN if name == "reward" else name for name in _columns(EpisodeRow) if name != "metrics"]
_EVALUATION_COLUMNS = ["seed", "step", "episode", "mean", "std", "min", "max", "returns"]


def _share(own: Standing, budget: tuple[int | None, int | None]) -> float:
    shares = [done / most for done, most in zip((own.episodes, own.steps), budget, strict=True) if most]
    return min(1.0, max(shares, default=0.0))


def _newest(own: Standing) -> float:
    return own.recent if math.isnan(own.evaluation) else own.evaluation


def _best(own: Standing) -> float:
    return own.best_recent if math.isnan(own.best_evaluation) else own.best_evaluation
