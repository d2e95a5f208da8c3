"""Seeds that NaN or infinity has stopped, while the others go on."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from velora.core.errors import NonFiniteError
from velora.core.finite import first_not_finite, weights_of
from velora.training.lane import Lane
from velora.training.protocol import TrainableAgent

log = logging.getLogger(__name__)


class LostSeeds:
    """Stop seeds of a run, and say why.

    Attributes:
        places: positions of their environments among those of all seeds.
    """

    def __init__(self, agent: TrainableAgent, lanes: Sequence[Lane]) -> None:
        self.places: list[int] = []
        self._agent, self._lanes = agent, lanes

    def add(self, seed_index: int, fault: str) -> None:
        """Stop a seed at a number that isn't finite; what it has learned before stays, and the others go on."""
        lane = self._lanes[seed_index]
        if lane.is_lost:
            return
        weight = first_not_finite(weights_of(self._agent.networks.items()), seed_index)
        if weight is not None and weight not in fault:
            fault += f"; {weight} holds NaN or infinity"
        lane.is_lost, lane.stop_reason = True, f"after {lane.step} steps: {fault}"
        self.places += [place.index for place in lane.places]
        if not all(other.done or other.is_lost for other in self._lanes):
            log.warning("seed %d: %s; it is stopped, the others go on", lane.seed, lane.stop_reason)

    def check_any_is_left(self) -> None:
        """Check that not every seed was stopped so.

        Raises:
            NonFiniteError: if so; the message says of each where.
        """
        if all(lane.is_lost for lane in self._lanes):
            raise NonFiniteError("; ".join(f"seed {lane.seed}: {lane.stop_reason}" for lane in self._lanes))
