"""The learning rates of all networks, in the metrics."""

from __future__ import annotations

from velora.callbacks.monitors import UpdateMonitor
from velora.core.protocols import AgentView


class LearningRateMonitor(UpdateMonitor):
    """Log the learning rate of every network as ``learning_rate/<network>``, whoever changes it.

    Example:
        >>> LearningRateMonitor(every=500).every
        500
    """

    def measure(self, agent: AgentView, seed_index: int) -> dict[str, float]:
        """Read the rates."""
        return {f"learning_rate/{name}": rate for name, rate in agent.current_learning_rates(seed_index).items()}
