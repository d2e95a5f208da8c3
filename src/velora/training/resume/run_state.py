"""Contents of a run's checkpoint besides the agent: everything that the next step depends on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from velora.core.errors import CheckpointError
from velora.core.types import Metrics
from velora.training.lane import Lane
from velora.training.loop import Loop
from velora.training.protocol import TrainableAgent
from velora.training.resume import callback_state, codec
from velora.training.resume.circumstances import Circumstances
from velora.training.resume.state_schema import RunState

__all__ = ["PackedState", "RunState", "Saved", "pack_run"]

PackedState = tuple[dict[str, Any], Mapping[str, Tensor]]


@dataclass(frozen=True, slots=True)
class Saved:
    """Saved state that a run goes on from.

    Attributes:
        seeds: the run seeds, in the order of the seed axis.
        states: of every seed; ``None`` for one that begins anew.
        furthest: the position of the seed that stands furthest; what belongs to no single seed comes from it.
        environments: what the checkpoint of every seed says of its environment.
        newest_of: of every seed the directory whose newest checkpoint it is; ``None`` where a checkpoint was named.
        paths: the checkpoint of every seed, for errors.
    """

    seeds: tuple[int, ...]
    states: tuple[RunState | None, ...]
    furthest: int
    environments: tuple[Mapping[str, Any] | None, ...]
    newest_of: tuple[Path | None, ...]
    paths: tuple[Path | None, ...]

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

    def metrics(self, device: torch.device) -> Metrics:
        """Gather what the newest updates of every seed had reported.

        Shapes:
            returns: each (S,); NaN where a seed has reported nothing of the name.

        Raises:
            CheckpointError: if what was saved isn't one number for each name.
        """
        gathered: dict[str, Tensor] = {}
        for k, state in self.each():
            try:
                for name, value in state.metrics.items():
                    unknown = math.nan if value.is_floating_point() else 0
                    gathered.setdefault(name, torch.full((len(self.seeds),), unknown, dtype=value.dtype, device="cpu"))[
                        k
                    ] = value.item()
            except (AttributeError, RuntimeError, TypeError, ValueError) as error:
                raise CheckpointError(f"train_state: metrics: expected a number for each name ({error})") from error
        return {name: value.to(device) for name, value in gathered.items()}

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
    loop: Loop,
    callbacks: Sequence[Any],
    extra: Mapping[str, Any],
    circumstances: Circumstances,
) -> PackedState:
    """Gather everything that the next step of this seed depends on, besides weights, optimizers and buffer.

    What a callback keeps and can't be saved is left out, reported, and reported again on a resume: a run isn't lost
    for it. :func:`velora.training.resume.callback_state.check` refuses most of it before a run begins.
    """
    k, is_begun = lane.seed_index, lane.seed_index in loop.begun
    tensors: dict[str, Tensor] = {}
    parts, dropped = callback_state.savable(callbacks, lane.seed, extra)
    tree = {
        "run_id": run_id,
        "evaluated_at": lane.evaluated_at,
        "lane": lane.state_dict() | ({"logged_at": lane.logged_at} if is_begun else {}),  # an update may wait for it
        "hidden": loop.hidden[k : k + 1],
        "agent": agent.training_state(k),
        "generators": {name: codec.generator_state(g) for name, g in agent.generators(k).items()},
        "global_generators": codec.global_generators(),
        **parts,
        "lineage": [list(one) for one in lane.lineage],
        "metrics": {name: value[k : k + 1] for name, value in loop.metrics.items()} if lane.update else {},
        "circumstances": dict(circumstances),
        **({"dropped": dropped} if dropped else {}),
        **({"begun": dict(loop.begun[k])} if is_begun else {}),
        **({"torn": True} if loop.is_torn else {}),
        **({"failed_in": loop.hooks.failed_in} if loop.hooks.failed_in else {}),
    }
    return codec.pack(tree, tensors), tensors
