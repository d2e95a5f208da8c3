"""Files are written whole, and devices are written to."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

from velora.core import disk


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    target = tmp_path / "new" / "runs.csv"
    for text in ("first", "second\n"):
        disk.write_text(target, text)
        assert target.read_text() == text
    assert [file.name for file in target.parent.iterdir()] == ["runs.csv"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs /dev/fd")
def test_a_device_is_written_to(tmp_path: Path) -> None:
    """As by ``csv=/dev/stdout``, which must not be replaced by a file."""
    reading, writing = os.pipe()
    disk.write_text(Path(f"/dev/fd/{writing}"), "rows\n")
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert pipe.read() == "rows\n"


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="needs /dev/shm")
def test_a_file_system_in_memory_holds_files_as_any_other() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        target = Path(place) / "run" / "result.json"
        disk.write_text(target, "first")
        before = target.stat().st_ino
        disk.write_text(target, "second")
        assert target.read_text() == "second"
        assert target.stat().st_ino != before  # it was replaced, not written over
