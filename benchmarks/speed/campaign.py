"""Run the jobs of the rows in interleaved rounds, so that whatever slows the machine slows everyone."""

from __future__ import annotations

import json
import re
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.speed import jobs, results
from benchmarks.speed.jobs import Job, JobFailedError
from benchmarks.speed.plan import Plan
from benchmarks.speed.results import Measurement
from benchmarks.speed.rows import Row

GUESS_S = 12.0
"""What a job takes as long as none has been timed."""
Identity = tuple[int, str, str]
"""Round, contender and case."""


class Cache:
    """Keep the measurements of a row that isn't finished, so that the same command goes on where it was stopped.

    Args:
        path: of the file, a line for each measurement under a line with the key.
        key: of what is measured; a file with another key is left behind.
    """

    def __init__(self, path: Path, key: dict[str, Any]) -> None:
        self._path = path
        self.measurements: list[Measurement] = []
        lines = path.read_text().splitlines() if path.exists() else []
        if lines and json.loads(lines[0]) == key:
            self.measurements = [json.loads(line) for line in lines[1:]]
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(key) + "\n")

    def add(self, measurement: Measurement) -> None:
        """Keep one."""
        self.measurements.append(measurement)
        with self._path.open("a") as file:
            file.write(json.dumps(measurement) + "\n")

    def forget(self) -> None:
        """Delete the file: the row is finished."""
        self._path.unlink()


class Pace:
    """Estimate the time left from the time that the same jobs took before."""

    def __init__(self) -> None:
        self._took: dict[tuple[str, str], float] = {}

    def note(self, job: Job, seconds: float) -> None:
        """Remember how long a job took."""
        self._took[job.contender, job.case] = seconds

    def left(self, jobs_left: Iterable[Job]) -> float:
        """Add up the seconds of some jobs."""
        usual = statistics.fmean(self._took.values()) if self._took else GUESS_S
        return sum(self._took.get((job.contender, job.case), usual) for job in jobs_left)


@dataclass(frozen=True, slots=True)
class Pending:
    """A job of a row that is still to be done."""

    row: Row
    number: int
    job: Job


def pending(row: Row, plan: Plan, rounds: int, done: Sequence[Measurement]) -> list[Pending]:
    """List what is left of a row; every other round runs backwards, so that nobody always goes first."""
    finished: set[Identity] = {(m["round"], m["contender"], m["case"]) for m in done}
    found: list[Pending] = []
    for number in range(rounds):
        in_order = [Pending(row, number, job) for job in row.jobs(plan, number)]
        found += in_order if number % 2 == 0 else reversed(in_order)
    return [item for item in found if (item.number, item.job.contender, item.job.case) not in finished]


def run(
    rows: Sequence[Row],
    plan: Plan,
    *,
    rounds: int | None,
    command: str,
    folder: Path,
    scratch: Path = jobs.SCRATCH,
    measure: Callable[[Job], jobs.Answer] = jobs.run,
) -> None:
    """Measure rows and write each when it is finished.

    Args:
        rounds: instead of each row's own number.
        command: to write down beside the results.
        folder: where the results go.
        scratch: where unfinished rows are kept.
        measure: does a job.
    """
    caches, left, pace = {}, [], Pace()
    for row in rows:
        n_rounds = rounds or row.rounds
        key = {"sources": results.sources(), "kernels": list(plan.kernels), "quick": plan.quick, "rounds": n_rounds}
        cache = caches[row.number] = Cache(scratch / f"row{row.number}{'-quick' * plan.quick}.jsonl", key)
        if cache.measurements:
            print(f"row {row.number}: goes on after {len(cache.measurements)} measurements of the same code")
        left += pending(row, plan, n_rounds, cache.measurements)
    for i, item in enumerate(left):
        begin = time.perf_counter()
        measurement = _measure(item, measure)
        caches[item.row.number].add(measurement)
        pace.note(item.job, time.perf_counter() - begin)
        minutes = pace.left(p.job for p in left[i + 1 :]) / 60
        print(_line(item, measurement) + f" | {i + 1} of {len(left)}, {minutes:.0f} min left", flush=True)
        if i + 1 == len(left) or left[i + 1].row is not item.row:
            _finish(item.row, caches[item.row.number], command, folder)
    for row in rows:
        if caches[row.number].measurements and not any(item.row is row for item in left):
            _finish(row, caches[row.number], command, folder)


def _measure(item: Pending, measure: Callable[[Job], jobs.Answer]) -> Measurement:
    job = item.job
    head = {"round": item.number, "contender": job.contender, "case": job.case, "kernel": job.kernel}
    try:
        return {**head, **_rounded(measure(job))}
    except JobFailedError as error:
        return {**head, "failed": re.sub(r"/\S*/", "", str(error))}  # results are published: no paths of a machine


def _rounded(answer: jobs.Answer) -> jobs.Answer:
    return {name: float(f"{value:.5g}") if isinstance(value, float) else value for name, value in answer.items()}


def _line(item: Pending, measurement: Measurement) -> str:
    numbers = ", ".join(
        f"{name} {measurement[name]}" for name in (*item.row.metrics, "peak_gflops") if name in measurement
    )
    said = numbers or f"FAILED: {measurement['failed']}"
    job = item.job
    return f"row {item.row.number} round {item.number + 1} | {job.contender:24} {job.case:28} | {said}"


def _finish(row: Row, cache: Cache, command: str, folder: Path) -> None:
    in_order = sorted(cache.measurements, key=lambda m: m["round"])
    results.write(results.describe(row.number, command, in_order), results.path(folder, row.number))
    cache.forget()
