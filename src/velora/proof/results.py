"""What a proof finds out, as numbers; :mod:`velora.proof.report` writes them down."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Distance:
    """Largest distances between two ways to compute a trace.

    Attributes:
        action: in the environment's units; of discrete actions, how many differ.
        state: of the recurrent state.
    """

    action: float
    state: float

    @classmethod
    def between(
        cls, actions: NDArray[Any], others: NDArray[Any], states: NDArray[Any], other_states: NDArray[Any]
    ) -> Distance:
        """Compare actions (T, A) and states (T, H)."""
        n_others = float((actions != others).any(1).sum())
        action = n_others if actions.dtype.kind in "iu" else _largest(actions, others)
        return cls(action, _largest(states, other_states))


def _largest(one: NDArray[Any], other: NDArray[Any]) -> float:
    difference = np.abs(np.asarray(one, np.float64) - other)
    return float(np.max(difference, initial=0.0))


@dataclass(slots=True)
class TargetResult:
    """What was found out on one target.

    Attributes:
        name, machine, unit, clock_hz: of its row.
        failure: why there is nothing more; empty if all went well.
        selftest: what ``policy_selftest`` returned: 0 for all right.
        flash_bytes, ram_bytes: of the firmware, ``ram_bytes`` without the stack; 0 where that means nothing.
        state_bytes: of the policy's state.
        stack_bytes: deepest stack of a step; 0 where it can't be seen.
        per_step, most_per_step: instructions or cycles of a step, in the mean and at most; 0 where none are counted.
        against_float64, against_predict: distances over the trace.
        differs_at: first step of the trace whose bits aren't those of the reference; ``None`` if there is none.
        same_bits: whether there is none; ``None`` for the reference itself.
        returns: of the episodes that it steered.
        steps_per_s: in closed loop, the environment's own time included.
    """

    name: str
    machine: str
    unit: str
    clock_hz: int
    failure: str = ""
    selftest: int | None = None
    flash_bytes: int = 0
    ram_bytes: int = 0
    state_bytes: int = 0
    stack_bytes: int = 0
    per_step: float = 0.0
    most_per_step: float = 0.0
    against_float64: Distance | None = None
    against_predict: Distance | None = None
    same_bits: bool | None = None
    differs_at: int | None = None
    returns: list[float] = field(default_factory=list)
    steps_per_s: float = 0.0

    @property
    def ms_per_step(self) -> float | None:
        """Milliseconds of the longest step, where cycles are counted."""
        return 1e3 * self.most_per_step / self.clock_hz if self.clock_hz else None


@dataclass(slots=True)
class Proof:
    """A policy on several targets.

    Attributes:
        agent, cell, environment, digest, dtype, velora_version: as the manifest says.
        action_range: largest distance that two actions may have, in the environment's units; ``None`` if discrete.
        n_steps: steps of the trace.
        n_counted: steps of it that were counted.
        seeds: reset seeds of the closed loop.
        returns: what ``predict`` earns in these episodes.
        predict: the distance of ``predict`` itself from float64.
        targets: a result for each.
        left_out: names of targets whose tools aren't installed.
        install: the command that installs them.
        seconds: that all of it took.
    """

    agent: str
    cell: str
    environment: str
    digest: str
    dtype: str
    velora_version: str
    action_range: float | None
    n_steps: int
    n_counted: int
    seeds: Sequence[int]
    returns: Sequence[float]
    predict: Distance
    targets: list[TargetResult] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    install: str = ""
    seconds: float = 0.0

    @property
    def failures(self) -> list[str]:
        """What speaks against the policy: other bits, or a self-test that fails; a chip that is too small doesn't."""
        told = []
        for one in self.targets:
            if one.selftest:
                told.append(f"{one.name}: policy_selftest returned {one.selftest}")
            if one.same_bits is False:
                told.append(f"{one.name}: other bits than {self.targets[0].name} from step {one.differs_at} on")
        return told

    def document(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        found = dataclasses.asdict(self)
        for row, one in zip(found["targets"], self.targets, strict=True):
            row["ms_per_step"] = one.ms_per_step
        return found
