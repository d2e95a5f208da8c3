"""Compare the bits of training with those of another commit, or with the digests that are held for this machine.

python -m benchmarks.bits                       # with held.json, where this machine is the one it was made on
python -m benchmarks.bits --against 2f76e7d     # builds that commit in a temporary directory and runs both
python -m benchmarks.bits --hold                # writes held.json
python -m benchmarks.bits --only "ddpg, 1 seed" # the runs whose names contain this
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

from velora import kernels

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HELD = HERE / "held.json"
PACKAGES = ("torch", "numpy", "gymnasium", "mujoco")
Digests: TypeAlias = dict[str, dict[str, str]]


def machine() -> dict[str, str]:
    """Describe whatever decides bits besides the code: processor, instruction set, Python and libraries."""
    found = {"instruction_set": kernels.report().instruction_set, "python": platform.python_version()}
    cpu = next((s for s in Path("/proc/cpuinfo").read_text().splitlines() if s.startswith("model name")), "")
    return {"processor": cpu.partition(":")[2].strip(), **found, **{name: version(name) for name in PACKAGES}}


def run(source: Path, only: str) -> Digests:
    """Run everything with the code under ``source``, in a process of its own."""
    command = [sys.executable, str(HERE / "runs.py"), *([only] if only else [])]
    environment = {**os.environ, "PYTHONPATH": str(source / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: Digests = json.loads(done.stdout)
    return found


def run_commit(commit: str, only: str) -> Digests:
    """Check a commit out in a temporary directory, build its kernel, and run everything with it."""
    with tempfile.TemporaryDirectory() as directory:
        there = Path(directory, "velora")
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", there, commit], cwd=ROOT, check=True)
        try:
            build = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
            subprocess.run(build, cwd=there, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            return run(there, only)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", there], cwd=ROOT, check=True)


def compare(now: Digests, before: Digests, name: str) -> int:
    """Print which runs differ; return the exit code."""
    shared = [key for key in now if key in before]
    different = {key: [part for part in now[key] if now[key][part] != before[key][part]] for key in shared}
    different = {key: parts for key, parts in different.items() if parts}
    for key, parts in different.items():
        print(f"differs from {name}: {key}: {' and '.join(parts)}")
    print(f"{len(shared) - len(different)} of {len(shared)} runs equal {name}, weights and metric rows, to the bit")
    return 1 if different or not shared else 0


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", metavar="COMMIT", help="compare with this commit's code, run here")
    parser.add_argument("--hold", action="store_true", help="write held.json")
    parser.add_argument("--only", default="", metavar="WORDS", help="runs whose names contain this")
    arguments = parser.parse_args()
    held = json.loads(HELD.read_text()) if HELD.exists() else None
    if not arguments.hold and not arguments.against and (held is None or held["machine"] != machine()):
        print(f"held.json is of another machine, so it can't be compared with; use --against COMMIT.\n{machine()}")
        return 2
    now = run(ROOT, arguments.only)
    if arguments.hold:
        commit = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
        HELD.write_text(json.dumps({"commit": commit, "machine": machine(), "digests": now}, indent=1) + "\n")
        print(f"{len(now)} runs held")
        return 0
    if arguments.against:
        return compare(now, run_commit(arguments.against, arguments.only), arguments.against)
    assert held is not None  # or there was nothing to compare with
    return compare(now, held["digests"], f"held.json ({held['commit']})")


if __name__ == "__main__":
    sys.exit(main())
