"""What was counted, when and where: a JSON file for each row."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.reliability.rows import PYTHONS, ROOT, Row
from benchmarks.reliability.tally import Tally

DIRECTORY: Final = Path(__file__).with_name("results")
PACKAGES: Final = {
    "ours": ("torch", "numpy", "gymnasium", "mujoco", "safetensors"),
    "peers": ("stable_baselines3", "torchrl", "tensordict"),
}


def write(row: Row, columns: Mapping[str, Tally], *, seed: int, jobs: Mapping[str, Tally | None]) -> None:
    """Write what a row found; columns that were not tried this time stay as they were."""
    DIRECTORY.mkdir(exist_ok=True)
    path = DIRECTORY / f"{row.key}.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    now = {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(DIRECTORY, DIRECTORY.with_name("table.md")),
        "seed": seed,
        "machine": machine(),
    }
    counted = {name: {**now, **tally.document()} for name, tally in columns.items()}
    took = {title: round(tally.seconds, 1) for title, tally in jobs.items() if tally is not None}
    document = {
        "columns": {**before.get("columns", {}), **counted},
        "seconds": {**before.get("seconds", {}), **took},
    }
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(row: Row) -> dict[str, dict[str, Any]]:
    """Return the columns of a row; none if it was never tried."""
    path = DIRECTORY / f"{row.key}.json"
    found: dict[str, dict[str, Any]] = json.loads(path.read_text("utf-8"))["columns"] if path.exists() else {}
    return found


def seconds() -> dict[str, float]:
    """Return how long each job took when it was last run."""
    found: dict[str, float] = {}
    for path in DIRECTORY.glob("*.json"):
        found |= json.loads(path.read_text("utf-8"))["seconds"]
    return found


def machine() -> dict[str, Any]:
    """Describe where this runs."""
    cpu = next((s for s in Path("/proc/cpuinfo").read_text().splitlines() if s.startswith("model name")), "")
    return {
        "processor": cpu.partition(":")[2].strip(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "filesystem": _filesystem(Path("/tmp")),
        "python": platform.python_version(),
        "versions": {name: found for name in PYTHONS if (found := _versions(name))},
    }


def _filesystem(path: Path) -> str:
    """Return the kind of filesystem that temporary files are on."""
    best = ("", "unknown")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, point, kind, *_ = line.split()
        if str(path).startswith(point) and len(point) > len(best[0]):
            best = (point, kind)
    return best[1]


def _versions(python: str) -> dict[str, str]:
    if not PYTHONS[python].exists():
        return {}
    program = "import importlib.metadata as m, json, sys; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
    done = subprocess.run(
        [PYTHONS[python], "-c", program, *PACKAGES[python]], capture_output=True, text=True, check=False
    )
    return json.loads(done.stdout) if done.returncode == 0 else {}


def commit(*results: Path) -> str:
    """Name the commit, and whether anything but these results differs from it."""
    written = [f":!{path.relative_to(ROOT).as_posix()}" for path in results]
    name, changed = (
        subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
        for words in (
            ["rev-parse", "--short", "HEAD"],
            ["status", "--porcelain", "--untracked-files=no", ".", *written],
        )
    )
    return (name or "unknown") + ("-dirty" if changed else "")
