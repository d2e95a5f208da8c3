"""How a state lies in memory, with padding and without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from velora.core.errors import ExportError
from velora.proof.state import StateLayout


def layout(tmp_path: Path, members: str) -> StateLayout:
    (tmp_path / "policy.h").write_text(f"typedef struct {{\n    {members}\n}} policy_state;\n")
    return StateLayout.read(tmp_path / "policy.h", 3)


def test_a_state_of_floats_is_read_as_it_is(tmp_path: Path) -> None:
    found = layout(tmp_path, "float state[POLICY_STATES];")
    assert found == StateLayout((("state", "<f4", 3),))
    content = np.array([[1.0, 2.0, 3.0]], "<f4").view("u1")
    assert found.floats(content).tolist() == [[1.0, 2.0, 3.0]]  # type: ignore[union-attr]
    assert found.bits(content).tobytes() == content.tobytes()


def test_padding_is_left_out_where_a_machine_has_it(tmp_path: Path) -> None:
    found = layout(tmp_path, "int16_t state[3];\n    int32_t memory[1];")
    packed = np.arange(10, dtype=np.uint8)[None]
    padded = np.concatenate((packed[:, :6], [[99, 99]], packed[:, 6:]), 1).astype(np.uint8)
    assert found.bits(packed).tolist() == found.bits(padded).tolist() == packed.tolist()
    assert found.floats(packed) is None


@pytest.mark.parametrize("members", ["", "double state[3];"])
def test_a_header_that_is_not_understood_is_refused(tmp_path: Path, members: str) -> None:
    with pytest.raises(ExportError, match=r"policy.h: expected a policy_state of arrays"):
        layout(tmp_path, members)


def test_a_state_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="a policy_state of 5 bytes"):
        layout(tmp_path, "int16_t state[3];").bits(np.zeros((1, 5), np.uint8))
