"""What was measured, on the disk and in memory."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch

from benchmarks.speed.arithmetic import CORE
from benchmarks.speed.jobs import ROOT

Measurement = dict[str, Any]
"""``round``, ``contender``, ``case``, ``kernel`` (``None`` for a peer), and the numbers or why there are none."""


@dataclass(frozen=True, slots=True)
class Result:
    """Hold all measurements of one row, and where they were made."""

    head: dict[str, Any]
    measurements: Sequence[Measurement]

    def values(self, contender: str, case: str, metric: str) -> list[float]:
        """Return one number for each round; never reached is infinite."""
        own = [m for m in self.measurements if (m["contender"], m["case"]) == (contender, case) and metric in m]
        return [math.inf if m[metric] is None else float(m[metric]) for m in own]

    def median(self, contender: str, case: str, metric: str) -> float | None:
        """Return the median over the rounds; ``None`` if nothing was measured."""
        values = self.values(contender, case, metric)
        return statistics.median(values) if values else None

    def names(self, key: str) -> list[str]:
        """List the contenders, cases or kernels in the order of the first round."""
        return [name for name in dict.fromkeys(m[key] for m in self.measurements) if name is not None]

    def is_ours(self, contender: str) -> bool:
        """Tell whether a contender is not a peer."""
        return any(m["contender"] == contender and m["kernel"] is not None for m in self.measurements)


def path(folder: Path, row: int) -> Path:
    """Name a row's file."""
    return folder / f"row{row}.json"


def write(result: Result, target: Path) -> None:
    """Write a row, a line for each measurement, all or nothing."""
    lines = ",\n".join(f"  {json.dumps(m)}" for m in result.measurements)
    text = json.dumps(result.head, indent=1)[:-2] + f',\n "measurements": [\n{lines}\n ]\n}}\n'
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    part.write_text(text)
    os.replace(part, target)


def read(source: Path) -> Result:
    """Read a row back."""
    head = json.loads(source.read_text())
    return Result(measurements=head.pop("measurements"), head=head)


def read_all(folder: Path, rows: Sequence[int]) -> dict[int, Result]:
    """Read the rows that there are."""
    return {row: read(path(folder, row)) for row in rows if path(folder, row).exists()}


def describe(row: int, command: str, measurements: Sequence[Measurement]) -> Result:
    """Put date, machine and versions before what was measured; versions are said once for each environment."""
    versions: dict[str, dict[str, str]] = {"ours": {}, "peers": {}}
    kept = []
    for m in measurements:
        m = dict(m)
        used = m.pop("versions", {})
        if m["contender"] != CORE:
            versions["peers" if m["kernel"] is None else "ours"].update(used)
        kept.append(m)
    head = {
        "row": row,
        "date": str(date.today()),
        "machine": machine(),
        "command": command,
        "commit": _git("describe", "--always", "--dirty", "--exclude=*"),
        "versions": versions,
    }
    return Result(head, kept)


def machine() -> str:
    """Describe the machine in a line."""
    cpuinfo = Path("/proc/cpuinfo")
    name = platform.processor() or platform.machine()
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = names[0] if names else name
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return ", ".join([name, f"{os.cpu_count()} cores", f"{platform.system()} {platform.machine()}", *gpus])


def sources() -> str:
    """Fingerprint the code that is measured, the compiled kernel included."""
    digest = hashlib.sha256()
    for file in sorted((ROOT / "src" / "velora").rglob("*")):
        if file.suffix in (".py", ".so", ".pyd"):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
