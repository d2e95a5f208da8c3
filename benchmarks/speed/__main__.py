"""Run with ``python -m benchmarks.speed``, or ``make bench-speed``; ``--help`` tells more."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

import torch

from benchmarks.speed import campaign, plots, report, results
from benchmarks.speed.jobs import PEERS_PYTHON, ROOT, SCRATCH
from benchmarks.speed.plan import Plan
from benchmarks.speed.rows import ROWS

HERE = Path(__file__).parent


def main() -> None:
    """Measure the rows that were asked for, then write the tables and pictures of all that there are."""
    arguments = _arguments()
    folder = SCRATCH / "quick" if arguments.quick else HERE / "results"
    if not arguments.report:
        plan = Plan(tuple(arguments.kernels), quick=arguments.quick)
        command = shlex.join(["python", "-m", "benchmarks.speed", *sys.argv[1:]])
        rounds = 1 if arguments.quick and arguments.rounds is None else arguments.rounds
        rows = [ROWS[number] for number in arguments.rows]
        campaign.run(rows, plan, rounds=rounds, command=command, folder=folder)
    found = results.read_all(folder, list(ROWS))
    (folder / "table.md").write_text(report.document(found))
    if 1 in found:
        plots.bars(found[1], folder / "bars.png")
    if 4 in found:
        plots.curves(found[4], folder / "curves.png")
    print(report.verdicts(found))
    print(f"\nAll numbers: {(folder / 'table.md').relative_to(ROOT)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument(
        "--rows",
        type=_rows,
        default=_measurable(),
        help="such as 1,3; default: all of 1 to 6, and 7 where there is a GPU",
    )
    parser.add_argument("--kernels", type=lambda text: text.split(","), default=["native", "numpy"],
                        help="of ours; default: native,numpy")  # fmt: skip
    parser.add_argument("--rounds", type=int, help="instead of each row's own number")
    parser.add_argument("--quick", action="store_true", help="a smoke test in minutes; leaves the results alone")
    parser.add_argument("--report", action="store_true", help="only redo tables and pictures from the raw results")
    arguments = parser.parse_args()
    has_peers = any(job.is_peer for number in arguments.rows for job in ROWS[number].jobs(Plan(), 0))
    if not arguments.report and has_peers and not PEERS_PYTHON.exists():
        parser.error("the peers' environment is missing; make it with: make peers")
    return arguments


def _measurable() -> list[int]:
    """List the rows that this machine can measure."""
    needs_gpu = {number for number, row in ROWS.items() if any(job.on_gpu for job in row.jobs(Plan(), 0))}
    return [number for number in ROWS if number not in needs_gpu or torch.cuda.is_available()]


def _rows(text: str) -> list[int]:
    numbers = [int(part) for part in text.split(",")]
    if unknown := [number for number in numbers if number not in ROWS]:
        raise argparse.ArgumentTypeError(f"no row {unknown[0]}; there are {', '.join(map(str, ROWS))}")
    return numbers


if __name__ == "__main__":
    main()
