"""The target ``to=c``: five files that compile anywhere."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from velora.core.errors import ExportError
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
    """Write a policy as C99 in float32 into a directory, which is made where it is missing.

    Args:
        out: the directory; files of these names in it are replaced, others left alone.
        options: as every target is given them; there is nothing to choose here.

    Raises:
        ExportError: if the directory can't be written to.
    """
    files = c_files(policy)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=out) as place:
            for name, content in files.items():
                (Path(place) / name).write_text(content, encoding="utf-8", newline="\n")
            for name in files:
                os.replace(Path(place) / name, out / name)
    except OSError as error:
        raise ExportError(f"export: can't write to {out}: {error.strerror}; choose another out=") from error
