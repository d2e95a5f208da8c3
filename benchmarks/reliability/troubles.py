"""Loggers that fail, metrics that can't be written, two runs in one directory, clocks and paths: training goes on."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import DummyLogger

from benchmarks.reliability import forked, surroundings
from benchmarks.reliability.subject import scratch
from benchmarks.reliability.tally import Job
from benchmarks.reliability.training import At, everything, finish
from benchmarks.reliability.troubled import RUN, Trial, same
from velora.checkpoint import Checkpoint


def run(job: Job, kind: str) -> None:
    """Make one kind of trouble."""
    with scratch() as place:
        whole = forked.run(lambda: (RUN.go(place), everything(place))[1]).answer
    trials = list(KINDS[kind](job))
    for name, trial in job.each(job.some(trials, quick=8)):
        with scratch() as place:
            ending = forked.run(lambda: trial(place, whole))  # noqa: B023 - run at once
            complaint = ending.answer if ending.is_fine else str(ending)
            if complaint:
                job.tally.bad(f"{kind}: {complaint.partition(':')[0]}", f"{name}: {complaint}")
            else:
                job.tally.good(f"{kind}: as it should be")


# ------------------------------------------------------------------------------------------------------------- loggers


class BadLogger(DummyLogger):
    """A logger that raises in one of its methods, from the n-th call on."""

    def __init__(self, method: str, after: int, error: Exception) -> None:
        super().__init__()
        self.method, self.left, self.error = method, after, error

    def _call(self, method: str) -> None:
        if method == self.method:
            self.left -= 1
            if self.left < 0:
                raise self.error

    def log_metrics(self, *args: Any, **kwargs: Any) -> None:
        """Fail, perhaps."""
        self._call("log_metrics")

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Fail, perhaps."""
        self._call("log_hyperparams")

    def save(self) -> None:
        """Fail, perhaps."""
        self._call("save")

    def finalize(self, status: str) -> None:
        """Fail, perhaps."""
        self._call("finalize")


ERRORS = (
    OSError(28, "No space left on device"),
    ConnectionError("gone"),
    ValueError("x"),
    KeyError("k"),
    TypeError("t"),
)


def _loggers(job: Job) -> Iterator[tuple[str, Trial]]:
    methods = ("log_metrics", "log_hyperparams", "save", "finalize")
    for method, after, error in itertools.product(methods, (0, 1, 5), ERRORS):
        yield f"{method} raises {error!r} after {after} calls", partial(_with_logger, method, after, error)
    for name, value in (
        ("RANK", "1"),
        ("RANK", "0"),
        ("LOCAL_RANK", "3"),
        ("SLURM_NTASKS", "4"),
        ("SLURM_PROCID", "2"),
    ):
        yield f"{name}={value} with a logger", partial(_with_rank, name, value)


def _with_logger(method: str, after: int, error: Exception, place: Path, whole: dict[str, Any]) -> str | None:
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("velora").addHandler(handler)
    training = replace(RUN, options={"logger": BadLogger(method, after, error), "log_every": 1})
    status = training.go(place).status
    about = [text for text in said if "logger" in text]
    if status != "finished":
        return f"ended as {status}"
    if len(about) > 1:
        return f"reported more than once: {about}"
    return same(place, whole)


class Counting(DummyLogger):
    """A logger that counts its rows."""

    count = 0

    def log_metrics(self, *args: Any, **kwargs: Any) -> None:
        """Count."""
        self.count += 1


def _with_rank(name: str, value: str, place: Path, whole: dict[str, Any]) -> str | None:
    os.environ[name] = value
    logger = Counting()
    replace(RUN, options={"logger": logger, "log_every": 1}).go(place)
    return same(place, whole) or (None if logger.count else "rows dropped silently: the logger got none")


# ------------------------------------------------------------------------------------------------------------- metrics


def _metrics(job: Job) -> Iterator[tuple[str, Trial]]:
    for seconds in (0.0, 0.02, 0.1, 0.3, 99.0):
        for delay in (0, 5, 20, 40):
            yield f"locked from step {delay} for {seconds} s", partial(_locked, delay, seconds)
    for step in (1, 10, 30, 50):
        for what, act in BREAKS.items():
            yield f"{what} at step {step}", partial(_broken, step, act)
    yield "a directory in its place", _directory_as_database
    yield "of another program", _foreign_database


def _locked(step: int, seconds: float, place: Path, whole: dict[str, Any]) -> str | None:
    holders: list[forked.Child] = []

    def lock(trainer: Any) -> None:
        trainer.metrics.flush()
        holders.append(forked.start(lambda: _hold(place / "metrics.db", seconds)))
        while not (place / "locked").exists():
            time.sleep(0.001)

    status = RUN.go(place, At(max(step, 1), lock)).status
    for holder in holders:
        holder.send(signal.SIGKILL)
        holder.wait()
    if status != "finished":
        return f"ended as {status}"
    return same(place, whole, rows=seconds < 5)


def _hold(path: Path, seconds: float) -> None:
    connection = sqlite3.connect(path)
    connection.execute("BEGIN IMMEDIATE")
    (path.parent / "locked").touch()
    time.sleep(seconds)
    connection.close()


def _overwrite(place: Path) -> None:
    for path in place.glob("metrics.db*"):
        path.write_bytes(b"not a database at all" * 300)


def _delete(place: Path) -> None:
    for path in place.glob("metrics.db*"):
        path.unlink()


def _truncate(place: Path) -> None:
    os.truncate(place / "metrics.db", 100)


def _move(place: Path) -> None:
    (place / "metrics.db").rename(place / "moved.db")


BREAKS: dict[str, Callable[[Path], None]] = {
    "deleted": _delete,
    "overwritten": _overwrite,
    "truncated": _truncate,
    "moved away": _move,
}


def _broken(step: int, act: Callable[[Path], None], place: Path, whole: dict[str, Any]) -> str | None:
    status = RUN.go(place, At(step, lambda trainer: act(place))).status
    return f"ended as {status}" if status != "finished" else _same_checkpoint(place, whole)


def _same_checkpoint(place: Path, whole: dict[str, Any]) -> str | None:
    document = Checkpoint.open(place / "checkpoints" / "final").metadata.document()
    return None if document["files"] == whole["checkpoint "]["files"] else "differs: the checkpoint"


def _directory_as_database(place: Path, whole: dict[str, Any]) -> str | None:
    (place / "metrics.db").mkdir()
    status = RUN.go(place).status
    return f"ended as {status}" if status != "finished" else _same_checkpoint(place, whole)


def _foreign_database(place: Path, whole: dict[str, Any]) -> str | None:
    connection = sqlite3.connect(place / "metrics.db")
    connection.executescript("CREATE TABLE episode (x); INSERT INTO episode VALUES (1); PRAGMA user_version=77;")
    connection.close()
    status = RUN.go(place).status
    if sqlite3.connect(place / "metrics.db").execute("SELECT x FROM episode").fetchall() != [(1,)]:
        return "someone's rows are gone"
    return f"ended as {status}" if status != "finished" else _same_checkpoint(place, whole)


# ------------------------------------------------------------------------------------------------------------- two runs


def _two_runs(job: Job) -> Iterator[tuple[str, Trial]]:
    for number in range(60):
        generator = job.random("two runs", number)
        yield f"a second run, {number}", partial(_second, generator.uniform(0.0, 0.05))
        yield f"two resumes at once, {number}", partial(_racing, generator.randrange(5, 50))


def _second(wait_s: float, place: Path, whole: dict[str, Any]) -> str | None:
    slow = At(20, lambda trainer: time.sleep(0.4))
    first = forked.start(lambda: RUN.go(place, slow).status)
    while not (place / "checkpoints" / ".lock").exists() and not first.ends_within(0.001):
        pass
    time.sleep(wait_s)
    second = forked.run(lambda: RUN.go(place).status)
    ending = first.wait()
    if not ending.is_fine or ending.answer != "finished":
        return f"the first run was disturbed: {ending}"
    if second.is_fine or second.answer[0] != "RunDirectoryError" or "\n" in second.answer[1]:
        return f"the second run was not refused: {second}"
    return same(place, whole)


def _racing(cut: int, place: Path, whole: dict[str, Any]) -> str | None:
    forked.run(lambda: RUN.go(place, At(cut, lambda trainer: os.kill(os.getpid(), signal.SIGTERM))))
    gate = place.parent / f"{place.name}-gate"

    def resume() -> str:
        while not gate.exists():
            time.sleep(0.0005)
        return str(finish(RUN, place, At(0, lambda trainer: time.sleep(0.1))).status)

    children = [forked.start(resume) for _ in range(2)]
    gate.touch()
    endings = [child.wait() for child in children]
    gate.unlink()
    won = [ending for ending in endings if ending.is_fine]
    if not won:
        return f"both were refused: {endings[0]}"
    for ending in endings:
        if not ending.is_fine and ending.answer[0] not in ("RunDirectoryError", "CheckpointError"):
            return f"the other failed by itself: {ending}"
    return same(place, whole)


KINDS: dict[str, Callable[[Job], Iterator[tuple[str, Trial]]]] = {
    "loggers": _loggers,
    "metrics": _metrics,
    "two runs": _two_runs,
    "clocks": surroundings.clocks,
    "paths": surroundings.paths,
}
