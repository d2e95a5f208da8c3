"""Write the files that test_text.py compares with."""

from __future__ import annotations

from pathlib import Path

from tests.unit.export.c.policies import by_hand
from velora.export.c.target import c_files

for name, text in c_files(by_hand()).items():
    if name in ("policy.h", "policy.c", "selftest.c"):
        (Path(__file__).parent / name).write_text(text, encoding="utf-8", newline="\n")
