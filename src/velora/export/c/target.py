"""The target ``to=c``: five files that compile anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from velora.export.c.header import header
from velora.export.c.program import program
from velora.export.c.selftest import selftest
from velora.export.c.templates import fill, text
from velora.export.c.vectors import make_vectors
from velora.export.policy import Policy
from velora.export.targets import Options


def c_files(policy: Policy) -> dict[str, str]:
    """Return the text of every file by its name; the same policy gives the same bytes."""
    written = program(policy)
    number = {"FORMAT": "%d", "CAST": ""} if policy.is_discrete else {"FORMAT": "%.9g", "CAST": "(double)"}
    return {
        "policy.h": header(policy, written.table_bytes),
        "policy.c": written.source,
        "selftest.c": selftest(make_vectors(policy)),
        "main.c": fill(text("main.c"), number),
        "Makefile": text("Makefile"),
    }


def write_c(policy: Policy, out: Path, options: Options | None = None) -> None:
    """Write a policy as C99 in float32 into a directory, which is made where it is missing."""
    write_files(c_files(policy), out)


def write_files(files: Mapping[str, str], out: Path) -> None:
    """Write texts into a directory by their names; the lines end alike on every machine."""
    out.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (out / name).write_text(content, encoding="utf-8", newline="\n")
