"""How fast a run goes, in the metrics."""

from __future__ import annotations

import time

from velora.callbacks.base import Callback
from velora.callbacks.cadence import Cadence, check_whole
from velora.core.protocols import AgentView, TrainerView


class Throughput(Callback):
    """Log environment steps and updates per second, of all seeds together, since the last row.

    They are ``throughput/steps_per_second``, ``throughput/updates_per_second`` and ``throughput/seconds``, the time
    that this process has trained. Evaluations and saves count as time, since they take it.

    Example:
        >>> Throughput(every=5_000).every
        5000
    """

    def __init__(self, *, every: int = 1_000) -> None:
        """Choose how often.

        Args:
            every: environment steps of a seed between two rows, at least 1.

        Raises:
            SettingError: if it isn't such a number.
        """
        check_whole("throughput.every", every)
        self.every = every
        self._cadence = Cadence(every)
        self._began_s = self._last_s = 0.0
        self._last = 0, 0

    def on_train_start(self, trainer: TrainerView, agent: AgentView) -> None:
        """Start the clock."""
        self._began_s = self._last_s = time.perf_counter()
        self._last = _counts(trainer)
        self._cadence.start(0, trainer.step)

    def on_step_end(self, trainer: TrainerView, agent: AgentView) -> None:
        """Log if it is time."""
        if not self._cadence.is_due(0, trainer.step):
            return
        now, counts = time.perf_counter(), _counts(trainer)
        seconds = max(now - self._last_s, 1e-9)
        rates = [(new - old) / seconds for new, old in zip(counts, self._last, strict=True)]
        self._last_s, self._last = now, counts
        names = "throughput/steps_per_second", "throughput/updates_per_second"
        trainer.log({**dict(zip(names, rates, strict=True)), "throughput/seconds": now - self._began_s})


def _counts(trainer: TrainerView) -> tuple[int, int]:
    return sum(lane.step for lane in trainer.progress), sum(lane.update for lane in trainer.progress)
