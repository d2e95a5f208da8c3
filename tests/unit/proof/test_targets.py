"""The table of targets, and what is said where a tool is missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from velora.core.errors import ExportError
from velora.proof.targets import FIRMWARE, TARGETS, find_targets, installing, packages

ROOT = Path(__file__).parents[3]


def test_targets_are_chosen_by_name_in_the_order_of_the_table() -> None:
    assert [one.name for one in find_targets(["avr", "host", " cortex-m4 "])] == ["host", "cortex-m4", "avr"]
    assert find_targets(["all"]) == list(TARGETS.values())


def test_an_unknown_target_is_named_with_the_nearest_one() -> None:
    with pytest.raises(ExportError, match=r"^target=cortex-m5: no such target; did you mean cortex-m"):
        find_targets(["host", "cortex-m5"])


def test_missing_tools_are_named_with_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    m4, m3 = TARGETS["cortex-m4"], TARGETS["cortex-m3"]
    assert [tool.program for tool in m4.missing] == ["arm-none-eabi-gcc", "qemu-system-arm"]
    assert installing([m4, m3]) == "apt-get install gcc-arm-none-eabi qemu-system-arm"
    assert installing([]) == ""


def test_make_installs_the_packages_of_the_table() -> None:
    found = re.search(r"PROOF_PACKAGES := ((?:.*\\\n)*.*)\n", (ROOT / "Makefile").read_text())
    assert found is not None
    assert found[1].replace("\\", " ").split() == packages()


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_the_firmware_of_a_target_is_there(target: object) -> None:
    assert all((FIRMWARE / name).is_file() for name in ("proof.c", "port.h", *TARGETS[target.name].port))  # type: ignore[attr-defined]
