"""Run jobs in processes beside each other, and tell how far they are."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from benchmarks.reliability.rows import PYTHONS, ROOT, JobSpec
from benchmarks.reliability.tally import Tally

POLL_S = 0.2


@dataclass
class Running:
    """A job's process."""

    row: str
    spec: JobSpec
    part: int
    parts: int
    quick: bool
    expected_s: float = 1.0
    share: float = 0.0
    lost: int = 0
    tally: Tally | None = None
    process: subprocess.Popen[str] | None = None
    errors: IO[bytes] | None = None
    began_s: float = 0.0
    reader: threading.Thread | None = None
    last: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Name it."""
        return f"{self.row}: {self.spec.column}, {self.spec.title}" + (
            f", part {self.part + 1} of {self.parts}" if self.parts > 1 else ""
        )

    def start(self, seed: int) -> None:
        """Start the process, in a group of its own so that all it starts can be ended with it."""
        order = {
            "call": self.spec.call,
            "subject": self.spec.subject,
            "options": dict(self.spec.options),
            "seed": seed,
            "part": self.part,
            "parts": self.parts,
            "quick": self.quick,
        }
        python = PYTHONS[self.spec.python]
        paths = os.pathsep.join(
            [str(ROOT), *([str(ROOT / "src")] if self.spec.python == "ours" else []), os.environ.get("PYTHONPATH", "")]
        )
        if self.spec.python != "ours":
            paths = str(ROOT)
        environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - read when the process has ended
        self.began_s = time.monotonic()
        self.process = subprocess.Popen(
            [str(python), "-m", "benchmarks.reliability.job", json.dumps(order)],
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=environment,
            cwd=ROOT,
            start_new_session=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                told = json.loads(line)
            except json.JSONDecodeError:
                continue
            if "tally" in told:
                self.tally = Tally.read(told["tally"])
            elif told.get("total"):
                self.share, self.lost = told["done"] / told["total"], told["lost"]
                if self.spec.python == "ours":
                    self._tell_lost(told["cases"])

    def _tell_lost(self, cases: Sequence[str]) -> None:
        """Print at once what was lost: the row ends a quarter of an hour later."""
        for case in cases:
            _clear()
            print(f"! {self.title}: {case}", flush=True)

    def ended(self) -> bool:
        """Return whether the process is over; then its tally is there."""
        assert self.process is not None
        assert self.reader is not None
        if self.process.poll() is None:
            return False
        self.reader.join()
        if self.tally is None:
            assert self.errors is not None
            self.errors.seek(0)
            tail = self.errors.read().decode(errors="replace")[-1500:]
            self.tally = Tally(seconds=time.monotonic() - self.began_s)
            self.tally.bad("the job failed", f"{self.title}: exit {self.process.returncode}: {tail}")
            self.tally.trials -= 1  # a job that fails tried nothing
        self.share = 1.0
        return True

    def stop(self) -> None:
        """End the process and all that it started."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def run(todo: Sequence[Running], *, seed: int, jobs: int, on_end: Callable[[Running], None] = lambda job: None) -> None:
    """Run all in order, so many at a time; each has its tally then, and ``on_end`` is told."""
    waiting, running = list(todo), list[Running]()
    began_s, printed_s = time.monotonic(), 0.0
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                job = waiting.pop(0)
                job.start(seed)
                running.append(job)
            time.sleep(POLL_S)
            for job in [job for job in running if job.ended()]:
                running.remove(job)
                on_end(job)
                assert job.tally is not None
                _clear()
                print(
                    f"{job.title}: {job.tally.trials} trials, {job.tally.lost} lost, {job.tally.seconds:.0f} s",
                    flush=True,
                )
            if time.monotonic() - printed_s > (1.0 if sys.stderr.isatty() else 60.0):
                printed_s = time.monotonic()
                _tell(todo, running, printed_s - began_s)
    finally:
        for job in running:
            job.stop()
    _clear()


def _tell(todo: Sequence[Running], running: Sequence[Running], elapsed_s: float) -> None:
    total = sum(job.expected_s for job in todo)
    done = sum(job.expected_s * job.share for job in todo) / total
    left = f"about {elapsed_s * (1 - done) / done / 60:.0f} min left" if done > 0.01 else "just begun"
    lost = sum(job.tally.lost if job.tally else job.lost for job in todo)
    names = "; ".join(f"{job.title} {job.share:.0%}" for job in running)
    text = f"{done:.0%}, {left}, {lost} lost so far: {names}"
    print(
        f"\r{text[:158]:158}" if sys.stderr.isatty() else text,
        end="" if sys.stderr.isatty() else "\n",
        file=sys.stderr,
        flush=True,
    )


def _clear() -> None:
    if sys.stderr.isatty():
        print(f"\r{'':158}\r", end="", file=sys.stderr, flush=True)


def expected(before: Mapping[str, float], job: Running) -> float:
    """Return how long a job took last time, in seconds; one that is new counts as a minute of a long one."""
    return max(1.0, before.get(job.title, 60.0 * (1 if job.parts == 1 else 3)))
