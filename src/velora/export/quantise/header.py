"""The file policy.h of a quantised policy: the interface, and the contract in words."""

from __future__ import annotations

from velora.export.c.header import MOST_LISTED, RE_ENTRANT, every_step, time, wrappers, write_header
from velora.export.quantise.description import Quantised
from velora.export.quantise.memory import memory_of
from velora.export.quantise.program import Program


def header(quantised: Quantised, written: Program) -> str:
    """Write policy.h."""
    policy, memory = quantised.policy, memory_of(quantised)
    said = {
        "Observation": _observation(quantised),
        "Wrappers": wrappers(policy.origin),
        "dt": time(policy, f"{quantised.shortest_dt:.3g} to {quantised.longest_dt:.5g}"),
        **every_step(policy),
        "Inside": (
            f"weights of {quantised.weight_bits} bits, neurons of 16, sums of 32. calibration.json says by which "
            "episodes it was calibrated, and what that costs."
        ),
        "Sizes": _sizes(quantised, written),
        "Re-entrant": RE_ENTRANT,
        "The same bits": (
            "every processor whose floats are those of IEEE 754, in hardware or software, answers the same bits, with "
            "-ffp-contract=off and without -ffast-math; selftest.c compares them."
        ),
    }
    more = f"    int32_t memory[{memory.memories}];\n" if memory.memories else ""
    own = {
        "NUMBERS": "whole numbers",
        "INCLUDE": "#include <stdint.h>\n\n",
        "STATE": f"    int16_t state[{memory.neurons}];\n{more}",
        "BITS_DIFFER": "states differ",
    }
    return write_header(policy, said, own)


def _observation(quantised: Quantised) -> str:
    n = quantised.policy.n_observations
    middle, half = quantised.inputs.middle[:n], 32767.0 / quantised.inputs.factor[:n]
    ranges = ", ".join(f"{m - h:.3g} to {m + h:.3g}" for m, h in zip(middle, half, strict=True))
    said = f": {ranges}" if n <= MOST_LISTED else ", see calibration.json"
    return f"{n} numbers as the environment gives them, in its order and units. Each counts within its range{said}."


def _sizes(quantised: Quantised, written: Program) -> str:
    memory = memory_of(quantised)
    return (
        f"{written.table_bytes} bytes of tables in flash and about 1000 of code (Cortex-M, -Os), besides a few soft "
        f"floats where there is no floating-point unit; {2 * memory.neurons + 4 * memory.memories} bytes of RAM for a "
        f"policy_state; {written.stack_bytes} bytes of arrays on the stack, and about 100 of registers. No other RAM, "
        "no heap."
    )
