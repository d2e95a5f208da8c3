"""The norms of gradients, in the metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from velora.callbacks.monitors import UpdateMonitor
from velora.core.errors import SettingError
from velora.core.protocols import AgentView, TrainerView


class GradientMonitor(UpdateMonitor):
    """Log the norm of every network's newest gradient, before it is clipped, as ``gradient/<network>``.

    Updates compute these norms anyway: it costs no more than the reading, and updates stay recorded.

    Example:
        >>> GradientMonitor(every=500).every
        500
    """

    def __init__(self, *, every: int = 100) -> None:
        """Choose how often; see :class:`UpdateMonitor`."""
        super().__init__(every=every)
        self._norms: dict[int, dict[str, float]] = {}

    @property
    def state_key(self) -> str:
        """One key for each cadence."""
        return f"GradientMonitor[{self.every}]"

    def seed_state_dict(self, seed: int) -> dict[str, Any]:
        """Return the newest norms of a seed: the next update may be one of critics alone."""
        return {name: norm for name, norm in self._norms.get(seed, {}).items() if math.isfinite(norm)}

    def load_seed_state_dict(self, seed: int, state: Mapping[str, Any]) -> None:
        """Take that back; anything else is a ``SettingError``."""
        if not all(isinstance(norm, int | float) and math.isfinite(norm) for norm in state.values()):
            raise SettingError("gradient_monitor: expected finite norms by networks, found another state")
        self._norms[seed] = {name: float(norm) for name, norm in state.items()}

    def setup(self, trainer: TrainerView, agent: AgentView, stage: str) -> None:
        """Know of no norms."""
        self._norms = {}

    def on_save_checkpoint(self, trainer: TrainerView, agent: AgentView, checkpoint: dict[str, Any]) -> None:
        """Read the norms that are to be saved."""
        for k, seed in enumerate(agent.seeds):
            self._norms[seed] = self._newest(agent, k)

    def on_train_start(self, trainer: TrainerView, agent: AgentView) -> None:
        """Begin where every seed stands, and have the norms kept."""
        agent.keep_gradient_norms()
        super().on_train_start(trainer, agent)

    def measure(self, agent: AgentView, seed_index: int) -> dict[str, float]:
        """Read the norms."""
        return {f"gradient/{name}": norm for name, norm in self._newest(agent, seed_index).items()}

    def _newest(self, agent: AgentView, seed_index: int) -> dict[str, float]:
        """Read the norms of this process, before which those of the one before stand."""
        return {**self._norms.get(agent.seeds[seed_index], {}), **agent.gradient_norms(seed_index)}
