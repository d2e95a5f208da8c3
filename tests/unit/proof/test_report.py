"""The table of a proof, from numbers by hand."""

from __future__ import annotations

import numpy as np

from velora.proof import report
from velora.proof.results import Distance, Proof, TargetResult


def proof() -> Proof:
    host = TargetResult("host", "this machine, gcc", "", 0, selftest=0, returns=[-100.0, -200.0], steps_per_s=5_000.0)
    host.against_float64, host.against_predict = Distance(2e-6, 1e-6), Distance(3e-6, 1e-6)
    chip = TargetResult("avr", "ATmega328P", "cycles", 16_000_000, selftest=0, returns=[-101.0], same_bits=True)
    chip.flash_bytes, chip.ram_bytes, chip.stack_bytes = 9_904, 220, 177
    chip.per_step, chip.most_per_step = 600_000.0, 640_000.0
    small = TargetResult("cortex-m0", "Cortex-M0+", "instructions", 0, failure="doesn't fit: region FLASH overflowed")
    own = Distance(1.5e-6, 1e-6)
    names = ("LiquidSAC", "cfc", "Pendulum-v1", "c147af552a93", "float32", "0.3.0")
    return Proof(*names, 4.0, 1_000, 40, [1, 2], [-100.0, -200.5], own, targets=[host, chip, small])


def test_a_row_says_sizes_steps_errors_bits_and_returns() -> None:
    host, chip, small = report.rows(proof())
    assert (host["to float64"], host["bits"], host["earns"], host["off predict"]) == (
        "2.0e-06",
        "reference",
        "-150.000",
        "0.25",
    )
    assert (chip["flash B"], chip["stack B"], chip["a step"]) == ("9,904", "177", "600,000 = 40.0 ms")
    assert (chip["bits"], chip["played"], chip["off predict"]) == ("same", "1", "1")
    assert small == {"target": "cortex-m0", "bits": "doesn't fit"}


def test_the_text_names_what_is_left_out_and_what_failed() -> None:
    one = proof()
    one.left_out, one.install = ["riscv"], "apt-get install qemu-system-misc"
    one.targets[1].same_bits, one.targets[1].differs_at = False, 17
    text = report.table(one)
    assert "left out: riscv; their tools come with: apt-get install qemu-system-misc" in text
    assert "avr: other bits than host from step 17 on" in text
    assert "cortex-m0: doesn't fit: region FLASH overflowed" in text
    assert one.failures == ["avr: other bits than host from step 17 on"]


def test_a_narrow_terminal_has_fewer_columns_and_cuts_none() -> None:
    text = report.table(proof(), width=80)
    lines = text.split("\n\n")[1].splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)
    assert [line.split()[0] for line in lines[1:4]] == ["host", "avr", "cortex-m0"]
    assert "600,000 = 40.0 ms" in text


def test_a_failed_selftest_speaks_against_a_policy_and_a_small_chip_does_not() -> None:
    one = proof()
    assert one.failures == []
    one.targets[0].selftest = 1
    assert one.failures == ["host: policy_selftest returned 1"]


def test_distances_of_discrete_actions_are_counts() -> None:
    states = np.zeros((3, 2), np.float32)
    found = Distance.between(np.array([[0], [1], [1]]), np.array([[0], [0], [1]]), states, states + 0.5)
    assert found == Distance(1.0, 0.5)
    assert Distance.between(states, states - 2.0, states, states) == Distance(2.0, 0.0)
