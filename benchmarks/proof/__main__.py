"""Export every agent of the zoo as C, in float32 and int8, and prove it on every target whose tools are installed.

    make proof-tools                                            # install compilers and emulators, once
    make proof                                                  # all of it: the tables in docs/deploy/proof.md
    make proof ARGS="--targets cortex-m0,cortex-m3,cortex-m4,avr"
    python -m benchmarks.proof --agents pendulum --dtypes float32 --out /tmp/proof   # a part; the tables stay
    python -m benchmarks.proof --report                         # the tables alone, from the results that are there

The exit code is 1 if a policy isn't proved. A policy that can't be exported in a type is listed with the reason.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.proof import results
from benchmarks.proof.job import Job, run

ZOO = Path("src/velora/zoo")
DTYPES = ("float32", "int8")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", default="", metavar="NAMES", help="folders of src/velora/zoo/, separated by commas")
    parser.add_argument("--dtypes", default=",".join(DTYPES), metavar="NAMES")
    parser.add_argument("--targets", default="all", metavar="NAMES", help="as velora prove has them")
    parser.add_argument("--episodes", type=int, default=10, help="of the closed loop")
    parser.add_argument("--slow-episodes", type=int, default=1, help="of them on a slow target")
    parser.add_argument("--judge", type=int, default=20, help="episodes by which the export of int8 is judged")
    parser.add_argument("--steps", type=int, default=1_000, help="of the open loop")
    parser.add_argument("--jobs", type=int, default=2, help="policies at a time")
    parser.add_argument("--out", type=Path, metavar="DIRECTORY", help="write results here, and no tables")
    parser.add_argument("--report", action="store_true", help="write the tables from the results that are there")
    arguments = parser.parse_args()
    if arguments.report:
        results.write_tables()
        return 0
    began = time.monotonic()
    done = _run_all(_jobs(arguments, parser), arguments.jobs)
    results.write(done, arguments.out or results.DIRECTORY, seconds=time.monotonic() - began)
    if arguments.out is None:
        results.write_tables()
    print(f"{len(done)} policies in {time.monotonic() - began:.0f} s")
    return int(any(one.get("exit_code") for one in done))


def _jobs(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> list[Job]:
    chosen = [name for name in arguments.agents.split(",") if name]
    checkpoints = {path.parent.name: path for path in sorted(ZOO.glob("*/ep*")) if path.is_dir()}
    if unknown := [name for name in chosen if name not in checkpoints]:
        parser.error(f"--agents {unknown[0]}: expected names out of {', '.join(checkpoints)}")
    words = (
        f"target={arguments.targets}",
        f"episodes={arguments.episodes}",
        f"slow_episodes={arguments.slow_episodes}",
        f"steps={arguments.steps}",
    )
    return [
        Job(path, dtype, words, arguments.judge)
        for name, path in checkpoints.items()
        for dtype in arguments.dtypes.split(",")
        if not chosen or name in chosen
    ]


def _run_all(jobs: Sequence[Job], n_workers: int) -> list[dict[str, Any]]:
    """Run the jobs, a few at a time; the largest policies first, since they take longest."""
    began, done = time.monotonic(), list[dict[str, Any]]()
    ordered = sorted(jobs, key=lambda job: -(job.checkpoint / "model_state.safetensors").stat().st_size)
    with ProcessPoolExecutor(max(1, n_workers), mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(run, job) for job in ordered]):
            done.append(future.result())
            spent = time.monotonic() - began
            left = spent * (len(jobs) - len(done)) / len(done)
            name = f"{done[-1]['name']} {done[-1]['dtype']}"
            print(f"{len(done)}/{len(jobs)}  {name}: {_told(done[-1])}  about {left:.0f} s left", flush=True)
    return done


def _told(found: dict[str, Any]) -> str:
    if "refused" in found:
        return f"not exported: {found['refused']}"
    return "proved" if found["exit_code"] == 0 else "NOT proved"


if __name__ == "__main__":
    sys.exit(main())
