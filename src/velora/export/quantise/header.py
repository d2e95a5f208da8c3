"""The file policy.h of a quantised policy: the interface, and the contract in words."""

from __future__ import annotations

import textwrap

from velora.envs.actions import ActionBounds
from velora.export.c.bits import LARGEST_OBSERVATION
from velora.export.c.numbers import literal
from velora.export.c.templates import fill
from velora.export.quantise.description import Quantised
from velora.export.quantise.memory import memory_of
from velora.export.quantise.program import Program
from velora.export.quantise.text import text

MOST_LISTED = 8
"""Inputs and actions whose ranges are written one by one."""


def header(quantised: Quantised, written: Program) -> str:
    """Write policy.h."""
    policy, memory = quantised.policy, memory_of(quantised)
    origin = policy.origin
    trained = f" trained on {origin.environment}" if origin.environment else ""
    values = {
        "TITLE": f"{origin.agent} ({origin.cell}){trained}",
        "VERSION": origin.velora_version,
        "CONTRACT": "\n".join(_paragraphs(quantised, written)),
        "OBSERVATIONS": str(policy.n_observations),
        "ACTIONS": str(policy.n_actions),
        "STATES": str(policy.n_state),
        "DIGEST": origin.digest,
        "LARGEST": literal(LARGEST_OBSERVATION),
        "ACTION": "int" if policy.is_discrete else "float",
        "NEURONS": str(memory.neurons),
        "MEMORY": f"    int32_t memory[{memory.memories}];\n" if memory.memories else "",
    }
    return fill(text("policy.h"), values)


def _paragraphs(quantised: Quantised, written: Program) -> list[str]:
    policy = quantised.policy
    said = {
        "Observation": _observation(quantised),
        "dt": _time(quantised),
        "A late step": _late(quantised),
        "Action": _action(quantised),
        "A bad observation": (
            f"where a number of the observation is no number (NaN), infinite or beyond {LARGEST_OBSERVATION:g},"
            + (" or dt is NaN," if policy.reads_dt else "")
            + " the step changes nothing: the state stays, and the action is the one that follows from it, which is "
            "the last step's. Add the time that passed to the next dt."
        ),
        "Inside": (
            f"weights of {quantised.weight_bits} bits, neurons of 16, sums of 32. calibration.json says by which "
            "episodes it was calibrated, and what that costs."
        ),
        "Sizes": _sizes(quantised, written),
        "Re-entrant": (
            "nothing is kept outside of policy_state, so that several policies, threads and interrupts may each have "
            "one; two at a time must not share one."
        ),
        "The same bits": (
            "every processor whose floats are those of IEEE 754, in hardware or software, answers the same bits, with "
            "-ffp-contract=off and without -ffast-math; selftest.c compares them."
        ),
    }
    lines = []
    for name, words in said.items():
        lines += textwrap.wrap(f"{name}: {words}", 112, initial_indent=" * ", subsequent_indent=" *   ")
    return lines


def _observation(quantised: Quantised) -> str:
    n = quantised.policy.n_observations
    middle, half = quantised.inputs.middle[:n], 32767.0 / quantised.inputs.factor[:n]
    ranges = ", ".join(f"{m - h:.3g} to {m + h:.3g}" for m, h in zip(middle, half, strict=True))
    said = f": {ranges}" if n <= MOST_LISTED else ", see calibration.json"
    return f"{n} numbers as the environment gives them, in its order and units. Each counts within its range{said}."


def _time(quantised: Quantised) -> str:
    if not quantised.policy.reads_dt:
        return "is not read by this policy; give 1."
    return (
        "the time since the step before, in control steps: 1 for a step of the length that it was trained with. From "
        f"{quantised.shortest_dt:.3g} to {quantised.longest_dt:.5g}; what is below or above counts as that. Give 1 at "
        "an episode's first step."
    )


def _late(quantised: Quantised) -> str:
    if not quantised.policy.reads_dt:
        return "this policy can't be told; call it with the newest observation, once."
    return (
        "call policy_step once, with the newest observation and the dt that has passed, not once for each missed one."
    )


def _action(quantised: Quantised) -> str:
    policy = quantised.policy
    if not isinstance(policy.units, ActionBounds):
        first = getattr(policy.units, "first", 0)
        return f"one whole number, from {first} to {first + policy.readout.n_out - 1}: the environment's action."
    low, high, _ = policy.units.arrays
    if len(low) > MOST_LISTED or (len(set(low.tolist())) == 1 and len(set(high.tolist())) == 1):
        bounds = f"from {low.min():g} to {high.max():g}"
    else:
        bounds = "from " + ", ".join(f"{a:g} to {b:g}" for a, b in zip(low, high, strict=True))
    return f"{len(low)} numbers in the environment's units, {bounds}; never outside."


def _sizes(quantised: Quantised, written: Program) -> str:
    memory = memory_of(quantised)
    return (
        f"{written.table_bytes} bytes of tables in flash and about 1000 of code (Cortex-M, -Os), besides a few soft "
        f"floats where there is no floating-point unit; {2 * memory.neurons + 4 * memory.memories} bytes of RAM for a "
        f"policy_state; {written.stack_bytes} bytes of arrays on the stack, and about 100 of registers. No other RAM, "
        "no heap."
    )
