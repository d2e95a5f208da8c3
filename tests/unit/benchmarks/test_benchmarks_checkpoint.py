"""The measurement behind ADR 0010: both sides do the same work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import checkpoint


@pytest.mark.parametrize("kind", checkpoint.KINDS)
def test_both_sides_write_the_same_bytes_and_read_them(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "SMALL_RUNS", 1)
    written = {}
    for side in checkpoint.SIDES:
        for action in checkpoint.ACTIONS:
            figures = checkpoint._measure(kind, action, side, 1, tmp_path)
            assert figures.keys() == {"wall", "cpu", "peak"}
            assert figures["wall"] > 0
        written[side] = json.loads((tmp_path / f"{kind}.json").read_text())
    assert written["velora"] == written["library"]
    assert written["velora"]["size_bytes"] > (10_000 if kind == "agent" else 1_000_000)
