"""Contents of a run's checkpoint besides the agent: everything that the next step depends on."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from velora.callbacks.base import Callback
from velora.core.errors import CheckpointError
from velora.training.lane import Lane
from velora.training.protocol import TrainableAgent
from velora.training.resume import codec

log = logging.getLogger(__name__)

PackedState = tuple[dict[str, Any], Mapping[str, Tensor]]


@dataclass(frozen=True, slots=True)
class RunState:
    """Saved state of one seed.

    Attributes:
        dropped: what couldn't be saved of which callback, and why.
    """

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
    dropped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Saved:
    """Saved state that a run goes on from.

    Attributes:
        seeds: the run seeds, in the order of the seed axis.
        states: of every seed; ``None`` for one that begins anew.
        furthest: the position of the seed that stands furthest; what belongs to no single seed comes from it.
    """

    seeds: tuple[int, ...]
    states: tuple[RunState | None, ...]
    furthest: int

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
    """Gather everything that the next step of this seed depends on, besides weights, optimizers and buffer.

    What a callback keeps and can't be saved is left out, reported, and reported again on a resume: a run isn't lost
    for it. :func:`check_callbacks` refuses most of it before a run begins.
    """
    k = lane.seed_index
    tensors: dict[str, Tensor] = {}
    own, of_seed = _states(callbacks, lane.seed)
    parts = {"callbacks": own, "seed_callbacks": of_seed, "extra": dict(extra)}
    dropped: dict[str, str] = {}
    for part, states in parts.items():
        parts[part] = _savable(part, states, dropped)
    tree = {
        "run_id": run_id,
        "evaluated_at": lane.evaluated_at,
        "lane": lane.state_dict(),
        "hidden": hidden[k : k + 1],
        "agent": agent.training_state(k),
        "generators": {name: codec.generator_state(g) for name, g in agent.generators(k).items()},
        "global_generators": codec.global_generators(),
        **parts,
        **({"dropped": dropped} if dropped else {}),
    }
    return codec.pack(tree, tensors), tensors


def check_callbacks(callbacks: Sequence[Any], seeds: Sequence[int]) -> None:
    """Refuse callbacks whose state can't be saved, before the first step of a run.

    Raises:
        CheckpointError: naming the place in the state.
    """
    for seed in seeds:
        for part, states in zip(("callbacks", "seed_callbacks"), _states(callbacks, seed), strict=True):
            for key, state in states.items():
                codec.check(state, f"{part}.{key}")


def _states(callbacks: Sequence[Any], seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Ask callbacks for what they keep, for no seed and for one; only ours keep things for a seed."""
    ours = [c for c in callbacks if isinstance(c, Callback)]
    own = {c.state_key: state for c in callbacks if (state := c.state_dict())}
    return own, {c.state_key: state for c in ours if (state := c.seed_state_dict(seed))}


def _savable(part: str, states: Mapping[str, Any], dropped: dict[str, str]) -> dict[str, Any]:
    """Return the states that can be saved, and add why the others can't."""
    kept = {}
    for key, state in states.items():
        try:
            codec.check(state, f"{part}.{key}")
        except CheckpointError as error:
            dropped[key] = str(error)
            log.error("save: left out of the checkpoint, since it can't come back as it is: %s", error)
        else:
            kept[key] = state
    return kept
