"""The tables of ``make proof``, from numbers by hand; and that those in the docs are what the results say."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.proof import results
from velora.proof.results import Distance, Proof, TargetResult

HEAD = {"date": "2026-11-29", "commit": "abc", "all_of_it_s": 90.0}
MACHINE = {"cores": 2, "processor": "a processor", "system": "Linux 6"}


def found(**more: Any) -> dict[str, Any]:
    host = TargetResult("host", "this machine", "", 0, selftest=0, returns=[-100.0, -200.0])
    chip = TargetResult("cortex-m0", "Cortex-M0+", "instructions", 0, selftest=0, returns=[-100.0], same_bits=True)
    avr = TargetResult("avr", "ATmega328P", "cycles", 16_000_000, failure="doesn't fit: 40,000 bytes")
    host.against_float64, chip.against_float64 = Distance(2e-6, 1e-6), Distance(3e-6, 1e-6)
    chip.flash_bytes, chip.stack_bytes, chip.per_step, chip.most_per_step = 10_124, 220, 270_947.0, 271_000.0
    names = ("LiquidSAC", "cfc", "Pendulum-v1", "c147", "float32", "0.3.0")
    proof = Proof(*names, 4.0, 1_000, 40, [1, 2], [-100.5, -200.0], Distance(1e-6, 1e-6), targets=[host, chip, avr])
    return {**HEAD, "machine": MACHINE, "name": "pendulum", **proof.document(), "exit_code": 0, **more}


def test_a_policy_has_a_row_in_each_table() -> None:
    lines = results.lines([found()])
    assert "| pendulum | float32 | 3.0e-06 | 1.0e-06 | 2 of 2, avr is too small | -150.250 | -150.000 | 0.25 |" in lines
    assert "| pendulum | float32 | 10,124 | - | 270,947 | - | - | - | - | - | - | 220 | - |" in lines
    assert lines[-1] == "Measured 2026-11-29 at abc on 2 cores of a processor, Linux 6; all of it in 90 s."
    tables = [line.count("|") for line in lines if line.startswith("|")]
    assert tables == [9] * 3 + [14] * 3


def test_a_policy_that_cant_be_exported_is_listed_with_the_reason() -> None:
    refused = {**HEAD, "machine": MACHINE, "name": "half-cheetah", "dtype": "int8", "refused": "costs 300 of return"}
    assert "- half-cheetah, int8: not exported. costs 300 of return" in results.lines([refused])


def test_the_tables_in_the_docs_are_those_of_the_results() -> None:
    there = [json.loads(path.read_text("utf-8")) for path in sorted(results.DIRECTORY.glob("*.json"))]
    assert results.TABLES.read_text("utf-8") == "\n".join(results.lines(there)) + "\n"
    assert all(one.get("exit_code", 0) == 0 for one in there), "a policy of the zoo isn't proved"
