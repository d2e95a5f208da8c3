"""The measurement of how long a checkpoint stalls training runs, and measures what it says."""

from __future__ import annotations

from pathlib import Path

from benchmarks import stall


def test_everything_is_measured(tmp_path: Path) -> None:
    found = stall.measure(tmp_path, rows=1_000, n_saves=2)
    assert found.keys() >= {"copy", "stall", "library", "at once", "on the disk", "usual"}
    assert min(map(min, found.values())) > 0
    assert {path.name for path in tmp_path.iterdir()} >= {"at_once", "background", "buffer_state.safetensors"}
