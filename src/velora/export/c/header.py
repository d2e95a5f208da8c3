"""The file policy.h: the interface, and the contract in words, much of which quantised policies share."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from velora.envs.actions import ActionBounds
from velora.export.c.bits import LARGEST_OBSERVATION
from velora.export.c.numbers import literal
from velora.export.c.templates import fill, text
from velora.export.policy import LONGEST_STEP, SHORTEST_STEP, Origin, Policy
from velora.kernels.layers import Kind

MOST_LISTED = 8
"""Numbers whose ranges are written one by one."""


def header(policy: Policy, table_bytes: int) -> str:
    """Write policy.h.

    Args:
        table_bytes: constants of policy.c.
    """
    said = {
        "Observation": _observation(policy),
        "Wrappers": wrappers(policy.origin),
        "dt": time(policy, f"{SHORTEST_STEP:g} to {LONGEST_STEP:g}"),
        **every_step(policy),
        "Sizes": _sizes(policy, table_bytes),
        "Re-entrant": RE_ENTRANT,
        "The same bits": (
            "with -ffp-contract=off and without -ffast-math every processor whose floats are those of IEEE 754, in "
            "hardware or software, answers the same bits; selftest.c compares them."
        ),
    }
    own = {
        "NUMBERS": "float32",
        "INCLUDE": "",
        "STATE": "    float state[POLICY_STATES];\n",
        "BITS_DIFFER": "other bits than expected: then the compiler was allowed to fuse or reorder float operations",
    }
    return write_header(policy, said, own)


def write_header(policy: Policy, said: Mapping[str, str], own: Mapping[str, str]) -> str:
    """Fill policy.h.

    Args:
        said: the paragraphs of the contract by their names; an empty one is left out.
        own: what differs between floats and whole numbers, by its place in the text.
    """
    origin = policy.origin
    trained = f", trained on {origin.environment}" if origin.environment else ""
    lines: list[str] = []
    for name, words in said.items():
        if words:
            lines += textwrap.wrap(f"{name}: {words}", 112, initial_indent=" * ", subsequent_indent=" *   ")
    values = {
        "TITLE": _in_a_comment(f"{origin.agent} ({origin.cell}){trained}", 200),
        "VERSION": origin.velora_version,
        "CONTRACT": "\n".join(lines),
        "OBSERVATIONS": str(policy.n_observations),
        "ACTIONS": str(policy.n_actions),
        "STATES": str(policy.n_state),
        "DIGEST": origin.digest,
        "LARGEST": literal(LARGEST_OBSERVATION),
        "ACTION": "int" if policy.is_discrete else "float",
    }
    return fill(text("policy.h"), {**values, **own})


def _in_a_comment(words: str, longest: int) -> str:
    """Return words that can't end the comment they stand in: a checkpoint may name its environment as it likes."""
    shown = words if len(words) <= longest else f"{words[:longest]}..."
    printable = "".join(letter if letter.isprintable() else " " for letter in shown)
    return printable.replace("*/", "* /").replace("/*", "/ *")


# ------------------------------------------------------------------------------------------------------- paragraphs

RE_ENTRANT = (
    "nothing is kept outside of policy_state, so that several policies, threads and interrupts may each have one; two "
    "at a time must not share one."
)


def wrappers(origin: Origin) -> str:
    """Say what was around the environment; empty if nothing was."""
    names = [f"{one['name']}({_settings(one.get('kwargs', {}))})" for one in origin.wrappers]
    if not names and not origin.missing:
        return ""
    words = "the policy saw its environment through what follows, from the inside out, so do the same: "
    return words + _in_a_comment("; ".join([*names, *origin.missing]), 600) + ". policy.json has the whole of it."


def _settings(kwargs: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in kwargs.items())


def every_step(policy: Policy) -> dict[str, str]:
    """Return the paragraphs on what a step takes and gives that are the same in floats and in whole numbers."""
    return {
        "A late step": _late(policy),
        "Action": _action(policy),
        "A bad observation": (
            f"where a number of the observation is no number (NaN), infinite or beyond {LARGEST_OBSERVATION:g},"
            + (" or dt is NaN," if policy.reads_dt else "")
            + " the step changes nothing: the state stays, and the action is the one that follows from it, which is "
            "the last step's. Add the time that passed to the next dt."
        ),
    }


def _observation(policy: Policy) -> str:
    scaled = "; it is normalised inside" if policy.normalisation is not None else ""
    return f"{policy.n_observations} numbers as the environment gives them, in its order and units{scaled}."


def time(policy: Policy, span: str) -> str:
    """Say what dt is, which may be within a span."""
    if not policy.reads_dt:
        return "is not read by this policy; give 1."
    return (
        "the time since the step before, in control steps: 1 for a step of the length that it was trained with. From "
        f"{span}; what is below or above counts as that. Give 1 at an episode's first step."
    )


def _late(policy: Policy) -> str:
    if not policy.reads_dt:
        return "this policy can't be told; call it with the newest observation, once."
    return (
        "call policy_step once, with the newest observation and the dt that has passed, not once for each missed one."
    )


def _action(policy: Policy) -> str:
    if not isinstance(policy.units, ActionBounds):
        first = getattr(policy.units, "first", 0)
        return f"one whole number, from {first} to {first + policy.readout.n_out - 1}: the environment's action."
    low, high, _ = policy.units.arrays
    if len(low) > MOST_LISTED or (len(set(low.tolist())) == 1 and len(set(high.tolist())) == 1):
        bounds = f"from {low.min():g} to {high.max():g}"
    else:
        bounds = "from " + ", ".join(f"{a:g} to {b:g}" for a, b in zip(low, high, strict=True))
    numbers = "1 number" if len(low) == 1 else f"{len(low)} numbers"
    return f"{numbers} in the environment's units, {bounds}; never outside."


def _sizes(policy: Policy, table_bytes: int) -> str:
    inputs = policy.n_inputs if policy.normalisation is not None or policy.reads_log_dt else 0
    layers = [4 * (3 * one.n + one.n_in if one.kind is Kind.LTC else one.n) for one in policy.layers]
    stack = 4 * inputs + max(layers, default=0)
    return (
        f"{table_bytes} bytes of tables in flash and about 1000 of code (Cortex-M, -Os), besides soft floats where "
        f"there is no floating-point unit; {4 * policy.n_state} bytes of RAM for a policy_state; {stack} bytes of "
        "arrays on the stack, and about 100 of registers. No other RAM, no heap."
    )
