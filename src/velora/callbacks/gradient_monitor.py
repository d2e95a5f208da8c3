"""The norms of gradients, in the metrics."""

from __future__ import annotations

from velora.callbacks.monitors import UpdateMonitor
from velora.core.protocols import AgentView, TrainerView


class GradientMonitor(UpdateMonitor):
    """Log the norm of every network's newest gradient, before it is clipped, as ``gradient/<network>``.

    Updates compute these norms anyway: it costs no more than the reading, and updates stay recorded.

    Example:
        >>> GradientMonitor(every=500).every
        500
    """

    def on_train_start(self, trainer: TrainerView, agent: AgentView) -> None:
        """Begin where every seed stands, and have the norms kept."""
        agent.keep_gradient_norms()
        super().on_train_start(trainer, agent)

    def measure(self, agent: AgentView, seed_index: int) -> dict[str, float]:
        """Read the norms."""
        return {f"gradient/{name}": norm for name, norm in agent.gradient_norms(seed_index).items()}
