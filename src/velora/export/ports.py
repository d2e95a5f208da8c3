"""The inputs and outputs of a policy: names, sizes and units, the same for every target that has names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from velora.envs.actions import DiscreteActions
from velora.export.policy import LONGEST_STEP, SHORTEST_STEP, Policy

OBSERVATION, STATE, DT, ACTION, NEXT_STATE = "observation", "state", "dt", "action", "next_state"
SHORTEST, LONGEST = (np.format_float_scientific(step, trim="-", exp_digits=1) for step in (SHORTEST_STEP, LONGEST_STEP))
"""The least and largest dt, as they are written."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or an output.

    Attributes:
        name: of it.
        size: numbers of one sample; ``None`` for a number without an axis.
        meaning: unit and range, for people.
        is_whole: whether it is a whole number (int64); others are of float32.
    """

    name: str
    size: int | None
    meaning: str
    is_whole: bool = False


def inputs(policy: Policy) -> tuple[Port, Port, Port]:
    """Describe what a policy is given."""
    time = f"control steps since the step before, {SHORTEST} to {LONGEST}"
    return (
        Port(OBSERVATION, policy.n_observations, "in the environment's units"),
        Port(STATE, policy.n_state, "next_state of the step before, zeros when an episode begins"),
        Port(DT, None, time if policy.reads_dt else f"{time}; it changes nothing in this policy"),
    )


def outputs(policy: Policy) -> tuple[Port, Port]:
    """Describe what a policy gives."""
    state = Port(NEXT_STATE, policy.n_state, "state of the next step")
    if isinstance(units := policy.units, DiscreteActions):
        meaning = f"number of the action, {units.first} to {units.first + units.n - 1}"
        return Port(ACTION, None, meaning, is_whole=True), state
    ranges = dict.fromkeys(f"{low:g} to {high:g}" for low, high in zip(units.low, units.high, strict=True))
    return Port(ACTION, policy.n_actions, f"in the environment's units, {', '.join(ranges)}"), state
