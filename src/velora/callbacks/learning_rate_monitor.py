"""The learning rates of all networks, in the metrics."""

from __future__ import annotations

from typing import Any

from velora.callbacks.base import Callback
from velora.callbacks.cadence import Cadence, check_whole
from velora.core.protocols import AgentView, TrainerView
from velora.core.types import Metrics


class LearningRateMonitor(Callback):
    """Log the learning rate of every network as ``learning_rate/<network>``, whoever changes it.

    Example:
        >>> LearningRateMonitor(every=500).every
        500
    """

    def __init__(self, *, every: int = 100) -> None:
        """Choose how often.

        Args:
            every: updates of a seed between two rows, at least 1.

        Raises:
            SettingError: if it isn't such a number.
        """
        check_whole("learning_rate_monitor.every", every)
        self.every = every
        self._cadence = Cadence(every)

    def on_train_start(self, trainer: TrainerView, agent: AgentView) -> None:
        """Begin where every seed stands."""
        for lane in trainer.progress:
            self._cadence.start(lane.seed_index, lane.update)

    def on_train_batch_end(
        self, trainer: TrainerView, agent: AgentView, outputs: Metrics, batch: Any, batch_idx: int
    ) -> None:
        """Log if it is time."""
        for lane in trainer.progress:
            if self._cadence.is_due(lane.seed_index, lane.update):
                rates = agent.current_learning_rates(lane.seed_index)
                named = {f"learning_rate/{name}": rate for name, rate in rates.items()}
                trainer.log(named, seed_index=lane.seed_index)
