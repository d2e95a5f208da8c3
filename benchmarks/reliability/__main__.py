"""Strike every fault and count: the table of what survives what, in ``benchmarks/reliability/results``.

    make reliability                                      # everything, an hour and a half on two cores
    python -m benchmarks.reliability --only "power exact" # the rows whose names are among these words
    python -m benchmarks.reliability --quick              # a minute: a small piece of every row, nothing is written
    python -m benchmarks.reliability --report             # the table alone, from the results that are there

The exit code is 1 if a trial of ours was lost. Linux, a C compiler; the peers where ``make peers`` has put them.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time

from benchmarks.reliability import campaign, report, results
from benchmarks.reliability.rows import OURS, PYTHONS, ROWS, JobSpec, Row
from benchmarks.reliability.tally import Tally


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="WORDS", help="the rows of these names, or jobs with such a word")
    parser.add_argument("--quick", action="store_true", help="a small piece of every row of ours; writes nothing")
    parser.add_argument("--ours", action="store_true", help="without the peers")
    parser.add_argument("--peers", action="store_true", help="the peers alone")
    parser.add_argument("--seed", type=int, default=0, help="of whatever is drawn at random")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time")
    parser.add_argument("--report", action="store_true", help="write the table from the results that are there")
    arguments = parser.parse_args()
    if arguments.report:
        report.write()
        return 0
    rows = _chosen(arguments)
    if not rows:
        parser.error(f"--only {arguments.only!r}: expected names out of {', '.join(row.key for row in ROWS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # which ends the jobs first
    began_s = time.monotonic()
    before = results.seconds()
    todo = [
        campaign.Running(row.key, spec, part, parts, arguments.quick)
        for row, specs in rows
        for spec in specs
        for parts in [1 if arguments.quick else spec.parts]
        for part in range(parts)
    ]
    for job in todo:
        job.expected_s = campaign.expected(before, job)
    lost: dict[str, int] = {}

    def end_row(ended: campaign.Running) -> None:
        """Print and write a row as soon as the last of its jobs has ended."""
        own = [job for job in todo if job.row == ended.row]
        if all(job.tally is not None for job in own):
            (row,) = [row for row, _ in rows if row.key == ended.row]
            lost[row.key] = _close(row, own, arguments)

    campaign.run(todo, seed=arguments.seed, jobs=arguments.jobs, on_end=end_row)
    print(f"{time.monotonic() - began_s:.0f} s, {sum(lost.values())} of ours lost")
    return 1 if any(lost.values()) else 0


def _close(row: Row, jobs: list[campaign.Running], arguments: argparse.Namespace) -> int:
    """Sum up a row; return how many of ours were lost."""
    columns: dict[str, Tally] = {}
    for job in jobs:
        if job.tally is not None:
            columns.setdefault(job.spec.column, Tally()).add(job.tally)
    lost = _print(row, columns)
    if not arguments.quick:
        results.write(row, columns, seed=arguments.seed, jobs={job.title: job.tally for job in jobs})
        report.write()
    return lost


def _chosen(arguments: argparse.Namespace) -> list[tuple[Row, list[JobSpec]]]:
    words = arguments.only.split()
    chosen = []
    for row in ROWS:
        specs = [spec for spec in row.jobs if not arguments.quick or spec.quick]
        specs = [spec for spec in specs if not (arguments.ours and spec.column != OURS)]
        specs = [spec for spec in specs if not (arguments.peers and spec.column == OURS)]
        missing = {spec.column for spec in specs if not PYTHONS[spec.python].exists()}
        for column in sorted(missing):
            print(f"{row.key}: {column} isn't installed, see `make peers`; left out", file=sys.stderr)
        specs = [spec for spec in specs if spec.column not in missing]
        if words and row.key not in words:
            specs = []
        if specs:
            chosen.append((row, specs))
    return chosen


def _print(row: Row, columns: dict[str, Tally]) -> int:
    """Print what a row found; return how many of ours were lost."""
    print(f"\n{row.key}: {row.fault}")
    for column, tally in columns.items():
        print(f"  {column}: {tally.trials} trials, {tally.lost} lost, {tally.seconds:.0f} s")
        for outcome, count in tally.outcomes.most_common():
            print(f"    {count:8} {outcome}")
        for case in tally.cases[:12] if column == OURS else ():
            print(f"    ! {case}")
        for note in tally.notes:
            print(f"    ({note})")
    return columns[OURS].lost if OURS in columns else 0


if __name__ == "__main__":
    sys.exit(main())
