"""How a state lies in memory, with padding and without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from velora.core.errors import ExportError
from velora.envs.actions import ActionBounds
from velora.export.policy import Layer, Origin, Policy, Readout
from velora.kernels.layers import Kind
from velora.kernels.plan import ReadoutKind
from velora.ops.choice import Choice
from velora.proof.state import StateLayout, StateUnits


def layout(tmp_path: Path, members: str) -> StateLayout:
    (tmp_path / "policy.h").write_text(f"typedef struct {{\n    {members}\n}} policy_state;\n")
    return StateLayout.read(tmp_path / "policy.h", 3)


def test_a_state_of_floats_is_read_as_it_is(tmp_path: Path) -> None:
    found = layout(tmp_path, "float state[POLICY_STATES];")
    assert found == StateLayout((("state", "<f4", 3),))
    content = np.array([[1.0, 2.0, 3.0]], "<f4").view("u1")
    assert found.numbers(content).tolist() == [[1.0, 2.0, 3.0]]
    assert found.bits(content).tobytes() == content.tobytes()


def test_padding_is_left_out_where_a_machine_has_it(tmp_path: Path) -> None:
    found = layout(tmp_path, "int16_t state[3];\n    int32_t memory[1];")
    packed = np.arange(10, dtype=np.uint8)[None]
    padded = np.concatenate((packed[:, :6], [[99, 99]], packed[:, 6:]), 1).astype(np.uint8)
    assert found.bits(packed).tolist() == found.bits(padded).tolist() == packed.tolist()
    assert found.numbers(packed).tolist() == [[0x0100, 0x0302, 0x0504, 0x09080706]]


@pytest.mark.parametrize("members", ["", "double state[3];"])
def test_a_header_that_is_not_understood_is_refused(tmp_path: Path, members: str) -> None:
    with pytest.raises(ExportError, match=r"policy.h: expected a policy_state of arrays"):
        layout(tmp_path, members)


def test_a_state_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="a policy_state of 5 bytes"):
        layout(tmp_path, "int16_t state[3];").bits(np.zeros((1, 5), np.uint8))


def test_whole_numbers_become_the_state_of_the_description(tmp_path: Path) -> None:
    lstm = Layer(Kind.LSTM, 1, 2, 0, {})
    cfc = Layer(Kind.CFC, 1, 2, 0, {})
    readout = Readout(ReadoutKind.SLICE, 0, 1, 1)
    origin = Origin("A", "cfc", "", "", "0")
    policy = Policy(1, 4, (lstm, cfc), readout, Choice.AS_IS, ActionBounds.unit(1), origin)
    assert StateUnits.read(tmp_path, policy).of(np.array([[1.0, 2.0, 3.0, 4.0]])).tolist() == [[1.0, 2.0, 3.0, 4.0]]
    (tmp_path / "calibration.json").write_text('{"state_bits": [15, 14]}')
    whole = np.array([[1 << 14, 1 << 13, 1 << 20, 3 << 19]], float)
    assert StateUnits.read(tmp_path, policy).of(whole).tolist() == [[1.0, 0.5, 1.0, 1.5]]
    (tmp_path / "calibration.json").write_text("{}")
    with pytest.raises(ExportError, match=r"calibration.json: doesn't say state_bits of every layer"):
        StateUnits.read(tmp_path, policy)
