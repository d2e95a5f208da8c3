"""The callback by which a trial is measured, and stopped when it is no match for the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from velora.callbacks import Callback
from velora.cli.tune import measure
from velora.cli.tune.options import Options
from velora.core.protocols import AgentView
from velora.core.types import Evaluation

if TYPE_CHECKING:
    import optuna


class Watch(Callback):
    """A callback that reports each round of evaluation, ends a run that is pruned, and measures what the policy costs.

    It keeps nothing between processes: the rounds are in the run's metrics, and what was reported in the study.

    Attributes:
        pruned_at: the round after which the run was ended; ``None`` if it wasn't.
        cost: what the policy costs, once the run has ended.
        lost: seeds that met NaN or infinity.
    """

    def __init__(self, trial: optuna.Trial, options: Options) -> None:
        self.pruned_at: int | None = None
        self.cost: dict[str, float] = {}
        self.lost: list[int] = []
        self._trial, self._options = trial, options
        self._reports = options.pruner in ("median", "hyperband")

    def on_train_start(self, trainer: Any, agent: AgentView) -> None:
        """Judge by what was reported before the run was interrupted, if it was."""
        if self._reports and trainer.step:
            self._judge(trainer, agent)

    def on_evaluation_end(self, trainer: Any, agent: AgentView, evaluation: Evaluation) -> None:
        """Report the round, if all seeds have come to it."""
        if self._reports:
            self._judge(trainer, agent)

    def on_train_end(self, trainer: Any, agent: AgentView) -> None:
        """Measure the policy, once the run is over."""
        self.lost = [agent.seeds[k] for k, lane in enumerate(trainer.progress) if lane.is_lost]
        if trainer.status != "interrupted":
            self.cost = measure.cost_of(agent)

    def _judge(self, trainer: Any, agent: AgentView) -> None:
        found = measure.curves(trainer.metrics, trainer.evaluate_every)
        sound = [lane for lane in trainer.progress if not lane.is_lost]
        training = [lane for lane in sound if not lane.done] or sound
        latest = measure.latest_round(found, [agent.seeds[lane.seed_index] for lane in training])
        reported = self._trial.study.get_trials(deepcopy=False)[self._trial.number].intermediate_values
        for number in range(1, latest + 1):
            if number not in reported and any(number in of_seed for of_seed in found.values()):
                self._trial.report(measure.at_round(found, number, self._options), number)
        if latest and any(_has_more(trainer, lane) for lane in training) and self._trial.should_prune():
            self.pruned_at = latest
            trainer.stop(f"pruned after evaluation {latest}")


def _has_more(trainer: Any, lane: Any) -> bool:
    """Return whether a seed has a part of its budget left, which pruning would save."""
    is_used_up = lane.episode >= trainer.n_episodes or (trainer.n_steps is not None and lane.step >= trainer.n_steps)
    return not (lane.done or is_used_up)
