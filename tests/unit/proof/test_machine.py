"""The firmware on machines: frames in, answers out, counted and measured; and machines that fail."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.unit.proof.policies import SIZES, write_policy
from velora.core.errors import ExportError
from velora.proof.firmware import DoesNotFitError, Firmware, compile_for
from velora.proof.machine import MEASURE, RESET, Machine, selftest
from velora.proof.targets import TARGETS, installing

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="machines are spoken to through POSIX pipes")


def compiled(name: str, policy: Path, build: Path) -> Firmware:
    target = TARGETS[name]
    if target.missing:
        pytest.skip(f"needs {target.missing[0].program}: {installing([target])}")
    return compile_for(target, policy, build, ("-Wall", "-Wextra", "-pedantic", "-Werror"))


def ask_once(made: Firmware, *, timeout_s: float) -> None:
    with Machine("host", made.command, SIZES, timeout_s=timeout_s) as machine:
        request = machine.requests(1)
        request["obs"] = 1.0
        machine.ask(request)


QUICK = ("host", "cortex-m0", "avr")
MACHINES = [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in TARGETS]


@pytest.mark.parametrize("name", MACHINES)
def test_every_machine_answers_what_the_policy_says(name: str, tmp_path: Path) -> None:
    made = compiled(name, write_policy(tmp_path / "policy"), tmp_path)
    with Machine(name, (*made.command, *made.counting), SIZES, timeout_s=30) as machine:
        requests = machine.requests(3)
        requests["flags"] = [RESET | MEASURE, MEASURE, RESET]
        requests["dt"], requests["obs"] = [1.0, 0.5, 2.0], [[3.0, 1.0], [4.0, 0.0], [1.5, 0.25]]
        answers = machine.ask(requests)
    assert answers["action"][:, 0].tolist() == [2.0, 5.0, 2.75]
    assert answers["state"].copy().view("<f4")[:, 0].tolist() == [3.0, 5.0, 3.0]
    target = TARGETS[name]
    if target.unit:
        spent = (answers["ticks"][:2] - machine.overhead) * machine.units_per_tick
        assert np.all(spent > 2), "two additions and a multiplication take more than two instructions"
        assert np.all(spent < 5_000)
        assert 0 < answers["stack"][0] < 300
        assert 200 < made.flash_bytes < 8_000
    assert selftest(name, made.selftest, timeout_s=30) == 0


def test_a_failed_selftest_is_told(tmp_path: Path) -> None:
    made = compiled("host", write_policy(tmp_path / "policy", result=2), tmp_path)
    assert selftest("host", made.selftest, timeout_s=30) == 2


def test_a_machine_that_stops_answering_is_ended_after_the_timeout(tmp_path: Path) -> None:
    body = "while (observation[0] > 0.0f) { *(volatile float *)&s->state[0] = 1.0f; }"
    made = compiled("host", write_policy(tmp_path / "policy", body=body), tmp_path)
    said = r"^host: host-proof gave no answer for 0.5 s and was ended; .*timeout_s="
    with pytest.raises(ExportError, match=said):
        ask_once(made, timeout_s=0.5)


def test_a_machine_that_ends_in_the_middle_is_named_with_its_exit_code(tmp_path: Path) -> None:
    body = "if (observation[0] > 0.0f) { __builtin_trap(); }"
    made = compiled("host", write_policy(tmp_path / "policy", body=body), tmp_path)
    said = r"^host: host-proof ended in the middle \(exit code -\d+\)"
    with pytest.raises(ExportError, match=said):
        ask_once(made, timeout_s=30)


def test_a_program_that_is_no_firmware_is_refused() -> None:
    with pytest.raises(ExportError, match=r"^host: true ended in the middle \(exit code 0\)"):
        Machine("host", ("true",), SIZES, timeout_s=30)
    with pytest.raises(ExportError, match=r"^host: yes answers, but not as the proof's firmware does"):
        Machine("host", ("yes",), SIZES, timeout_s=30)
    with pytest.raises(ExportError, match=r"^host: no-such-program can't be run \(No such file"):
        Machine("host", ("no-such-program",), SIZES, timeout_s=30)


def test_an_error_of_the_compiler_is_one_line(tmp_path: Path) -> None:
    policy = write_policy(tmp_path / "policy", body="nonsense;")
    with pytest.raises(ExportError, match=r"^host: gcc failed: .*policy.c:\d+.* error: .*nonsense"):
        compiled("host", policy, tmp_path)


@pytest.mark.parametrize("name", ["avr", "cortex-m0"])
def test_a_policy_that_is_too_large_for_a_chip_is_told_so(name: str, tmp_path: Path) -> None:
    body = (
        "{ static volatile float more[70000]; more[(unsigned)dt] = dt; action[0] += more[(unsigned)observation[0]]; }"
    )
    policy = write_policy(tmp_path / "policy", body=body.replace("70000", "700") if name == "avr" else body)
    with pytest.raises(DoesNotFitError, match=r"region|needs [\d,]+ bytes of flash and [\d,]+ of memory"):
        compiled(name, policy, tmp_path)
