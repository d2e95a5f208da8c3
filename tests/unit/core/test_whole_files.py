"""Files are written whole, and devices are written to."""

from __future__ import annotations

import os
import sys
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
