"""Contents of a run's checkpoint besides the agent: everything that the next step depends on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from velora.callbacks.base import Callback
from velora.training.lane import Lane
from velora.training.protocol import TrainableAgent
from velora.training.resume import codec

PackedState = tuple[dict[str, Any], Mapping[str, Tensor]]


@dataclass(frozen=True, slots=True)
class RunState:
    """Saved state of one seed."""

    run_id: str
    evaluated_at: int
    lane: Mapping[str, Any]
    hidden: Tensor
    agent: Mapping[str, Any]
    generators: Mapping[str, str]
    global_generators: Mapping[str, Any]
    callbacks: Mapping[str, Any]
    extra: Mapping[str, Any]
    seed_callbacks: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Saved:
    """Saved state that a run goes on from.

    Attributes:
        seeds: the run seeds, in the order of the seed axis.
        states: of every seed; ``None`` for one that begins anew.
        furthest: the position of the seed that stands furthest; what belongs to no single seed comes from it.
        environments: what the checkpoint of every seed says of its environment.
    """

    seeds: tuple[int, ...]
    states: tuple[RunState | None, ...]
    furthest: int
    environments: tuple[Mapping[str, Any] | None, ...]

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.newest.run_id

    @property
    def newest(self) -> RunState:
        """The state of the seed that stands furthest."""
        state = self.states[self.furthest]
        assert state is not None
        return state

    def each(self) -> Iterator[tuple[int, RunState]]:
        """Go through the seeds that go on, the one that stands furthest last."""
        for k in sorted(range(len(self.states)), key=lambda k: k == self.furthest):
            state = self.states[k]
            if state is not None:
                yield k, state


def pack_run(
    *,
    run_id: str,
    agent: TrainableAgent,
    lane: Lane,
    hidden: Tensor,
    callbacks: Sequence[Any],
    extra: Mapping[str, Any],
) -> PackedState:
    """Gather everything that the next step of this seed depends on, besides weights, optimizers and buffer."""
    k = lane.seed_index
    tensors: dict[str, Tensor] = {}
    ours = [c for c in callbacks if isinstance(c, Callback)]
    tree = {
        "run_id": run_id,
        "evaluated_at": lane.evaluated_at,
        "lane": lane.state_dict(),
        "hidden": hidden[k : k + 1],
        "agent": agent.training_state(k),
        "generators": {name: codec.generator_state(g) for name, g in agent.generators(k).items()},
        "global_generators": codec.global_generators(),
        "callbacks": {c.state_key: state for c in callbacks if (state := c.state_dict())},
        "seed_callbacks": {c.state_key: state for c in ours if (state := c.seed_state_dict(lane.seed))},
        "extra": dict(extra),
    }
    return codec.pack(tree, tensors), tensors
