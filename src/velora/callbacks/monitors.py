"""What the callbacks that measure share: when they log, by a seed's updates or by environment steps."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from velora.callbacks.base import Callback
from velora.callbacks.cadence import Cadence, check_whole
from velora.core.protocols import AgentView, TrainerView
from velora.core.types import Metrics


class UpdateMonitor(Callback, ABC):
    """Log numbers of each seed at every so many of its updates."""

    def __init__(self, *, every: int = 100) -> None:
        """Choose how often.

        Args:
            every: updates of a seed between two rows, at least 1.

        Raises:
            SettingError: if it isn't such a number.
        """
        self.every, self._cadence = every, _cadence(self, every)

    @abstractmethod
    def measure(self, agent: AgentView, seed_index: int) -> Mapping[str, float]:
        """Return the numbers of a seed, by the names in the metrics."""

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
                trainer.log(self.measure(agent, lane.seed_index), seed_index=lane.seed_index)


class StepMonitor(Callback, ABC):
    """Log numbers of the whole run at every so many environment steps of a seed."""

    def __init__(self, *, every: int = 1_000) -> None:
        """Choose how often.

        Args:
            every: environment steps of a seed between two rows, at least 1.

        Raises:
            SettingError: if it isn't such a number.
        """
        self.every, self._cadence = every, _cadence(self, every)

    @abstractmethod
    def start(self, trainer: TrainerView) -> None:
        """Begin to measure."""

    @abstractmethod
    def measure(self, trainer: TrainerView, agent: AgentView) -> Mapping[str, float]:
        """Return the numbers since the last row, by the names in the metrics."""

    def on_train_start(self, trainer: TrainerView, agent: AgentView) -> None:
        """Begin where the run stands."""
        self.start(trainer)
        self._cadence.start(0, trainer.step)

    def on_step_end(self, trainer: TrainerView, agent: AgentView) -> None:
        """Log if it is time."""
        if self._cadence.is_due(0, trainer.step):
            trainer.log(self.measure(trainer, agent))


def _cadence(monitor: Callback, every: int) -> Cadence:
    """Check the setting under the name that it has in ``conf/``: ``device_stats.every``."""
    name = re.sub(r"\B(?=[A-Z])", "_", type(monitor).__name__).lower()
    check_whole(f"{name}.every", every)
    return Cadence(every)
