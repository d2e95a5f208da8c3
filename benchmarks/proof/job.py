"""One policy of ``make proof``, in a process of its own."""

from __future__ import annotations

import io
import json
import tempfile
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from velora.core.errors import VeloraError


@dataclass(frozen=True, slots=True)
class Job:
    """One policy: an agent of the zoo in one type of numbers; int8 is judged by ``n_judged`` episodes."""

    checkpoint: Path
    dtype: str
    words: tuple[str, ...]
    n_judged: int

    @property
    def name(self) -> str:
        """Name of the agent."""
        return self.checkpoint.parent.name


def run(job: Job) -> dict[str, Any]:
    """Export a policy and prove it; a failure is told in the result."""
    from velora.cli.command.jobs import prove
    from velora.export.exporting import export

    began = time.monotonic()
    found: dict[str, Any] = {"name": job.name, "dtype": job.dtype, "checkpoint": job.checkpoint.as_posix()}
    with tempfile.TemporaryDirectory(prefix="velora-proof-") as scratch:
        out, file = Path(scratch, "policy"), Path(scratch, "proof.json")
        try:
            options: dict[str, Any] = {"judge": job.n_judged} if job.dtype == "int8" else {}
            export(job.checkpoint, "c", out, dtype=job.dtype, **options)
        except VeloraError as error:
            return {**found, "refused": str(error)}
        exported_s = time.monotonic() - began
        said = io.StringIO()  # bars of several processes would write over each other
        with redirect_stdout(said), redirect_stderr(said):
            code = prove([str(out), f"json={file}", *job.words])
        found |= json.loads(file.read_text()) if file.exists() else {}
    if code:
        print(said.getvalue(), flush=True)
    return {**found, "exit_code": code, "export_s": exported_s}
