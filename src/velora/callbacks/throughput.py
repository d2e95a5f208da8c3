"""How fast a run goes, in the metrics."""

from __future__ import annotations

import time

from velora.callbacks.monitors import StepMonitor
from velora.core.protocols import AgentView, TrainerView


class Throughput(StepMonitor):
    """Log environment steps and updates per second, of all seeds together, since the last row.

    They are ``throughput/steps_per_second``, ``throughput/updates_per_second`` and ``throughput/seconds``, the time
    that this process has trained. Evaluations and saves count as time, since they take it.

    Example:
        >>> Throughput(every=5_000).every
        5000
    """

    def start(self, trainer: TrainerView) -> None:
        """Start the clock."""
        self._began_s = self._last_s = time.perf_counter()
        self._last = _counts(trainer)

    def measure(self, trainer: TrainerView, agent: AgentView) -> dict[str, float]:
        """Divide what was done by the time it took."""
        now, counts = time.perf_counter(), _counts(trainer)
        seconds = max(now - self._last_s, 1e-9)
        rates = [(new - old) / seconds for new, old in zip(counts, self._last, strict=True)]
        self._last_s, self._last = now, counts
        names = "throughput/steps_per_second", "throughput/updates_per_second"
        return {**dict(zip(names, rates, strict=True)), "throughput/seconds": now - self._began_s}


def _counts(trainer: TrainerView) -> tuple[int, int]:
    return sum(lane.step for lane in trainer.progress), sum(lane.update for lane in trainer.progress)
