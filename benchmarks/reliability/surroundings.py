"""Clocks that jump, times of files that lie, and paths that people have."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.reliability import forked
from benchmarks.reliability.tally import Job
from benchmarks.reliability.training import At, finish
from benchmarks.reliability.troubled import RUN, Trial, same
from velora.checkpoint import Checkpoint


def clocks(job: Job) -> Iterator[tuple[str, Trial]]:
    """List troubles with time."""
    for number in range(20):
        yield f"times of files at random, {number}", partial(_shuffled_times, job.random("times", number), number)
    for jump in (-3600.0, 3600.0, -3e7, 3e7):
        for step in (1, 20, 40):
            yield f"the clock jumps by {jump:g} s at step {step}", partial(_jump, jump, step)
    for zone in ("Pacific/Kiritimati", "America/St_Johns", "nonsense"):
        yield f"TZ={zone}", partial(_zone, zone)


def _shuffled_times(generator: random.Random, number: int, place: Path, whole: dict[str, Any]) -> str | None:
    cut = 10 + 2 * number
    forked.run(lambda: RUN.go(place, At(cut, lambda trainer: os.kill(os.getpid(), signal.SIGTERM))))
    for path in place.rglob("*"):
        at = generator.uniform(0, 4e9)
        os.utime(path, (at, at))
    found = Checkpoint.latest(place / "checkpoints")
    if found is None or found.metadata.progress.step < cut:
        return "the newest was not found by its step"
    finish(RUN, place)
    return same(place, whole)


def _jump(seconds: float, step: int, place: Path, whole: dict[str, Any]) -> str | None:
    real = time.time

    def act(trainer: Any) -> None:
        time.time = lambda: real() + seconds

    RUN.go(place, At(step, act))
    time.time = real
    negative = (
        sqlite3.connect(place / "metrics.db").execute("SELECT count(*) FROM episode WHERE seconds < 0").fetchone()
    )
    return f"negative durations: {negative[0]}" if negative[0] else same(place, whole)


def _zone(zone: str, place: Path, whole: dict[str, Any]) -> str | None:
    os.environ["TZ"] = zone
    time.tzset()
    RUN.go(place)
    return same(place, whole)


NAMES = (
    *(
        "with space",
        "ünïcödé",
        "日本語",
        "emoji 🦎",
        "quo'te",
        'dou"ble',
        "per%cent",
        "ha#sh",
        "ques?tion",
        "a=b",
        "[x]",
        "{y}",
    ),
    *(
        "-dash",
        "~",
        "$HOME",
        "a;b",
        "a&b",
        "*",
        "new\nline",
        "tab\tx",
        "x" * 200,
        "é" * 100,
        "a/b/c/d/e",
        "seed3",
        "ep10",
    ),
)
LITTER = (".DS_Store", "notes.txt", ".ipynb_checkpoints/", "._ep1", "Thumbs.db", "figures/", ".git/", "link")


def paths(job: Job) -> Iterator[tuple[str, Trial]]:
    """List troubles with places."""
    for name in NAMES:
        yield f"a directory {name!a:.30}", partial(_cut_there, name)
        yield f"a relative {name!a:.30}, and chdir meanwhile", partial(_relative, name)
    for litter in LITTER:
        for where in ("", "checkpoints/", "checkpoints/interrupted/"):
            yield f"{litter} in {where or 'the run'}", partial(_littered, litter, where)
    yield "a file in place of the directory", _file_there
    yield "a link to the directory", _linked
    yield "TMPDIR that isn't there", _no_tmpdir
    yield "a working directory that is gone", _gone


def _cut_and_resume(place: Path, whole: dict[str, Any], between: Callable[[], None] = lambda: None) -> str | None:
    forked.run(lambda: RUN.go(place, At(25, lambda trainer: os.kill(os.getpid(), signal.SIGTERM))))
    if Checkpoint.latest(place / "checkpoints") is None:
        return "nothing was saved"
    between()
    finish(RUN, place)
    return same(place, whole)


def _cut_there(name: str, place: Path, whole: dict[str, Any]) -> str | None:
    return _cut_and_resume(place / name, whole)


def _relative(name: str, place: Path, whole: dict[str, Any]) -> str | None:
    os.chdir(place)
    (place / "elsewhere").mkdir()
    RUN.go(Path(name), At(20, lambda trainer: os.chdir(place / "elsewhere")))
    return same(place / name, whole) if (place / name).exists() else "the run moved with the working directory"


def _littered(litter: str, where: str, place: Path, whole: dict[str, Any]) -> str | None:
    def act() -> None:
        path = place / where / litter.rstrip("/")
        if litter.endswith("/"):
            path.mkdir()
            (path / "x").write_text("x")
        elif litter == "link":
            path.symlink_to(place)
        else:
            path.write_text("mine")

    return _cut_and_resume(place, whole, act)


def _file_there(place: Path, whole: dict[str, Any]) -> str | None:
    (place / "run").mkdir()
    (place / "run" / "checkpoints").write_text("mine")
    ending = forked.run(lambda: RUN.go(place / "run"))
    is_told = ending.code == forked.RAISED and ending.answer[0] == "RunDirectoryError" and "\n" not in ending.answer[1]
    return None if is_told and (place / "run" / "checkpoints").read_text() == "mine" else f"not refused: {ending}"


def _linked(place: Path, whole: dict[str, Any]) -> str | None:
    (place / "real").mkdir()
    (place / "run").symlink_to(place / "real")
    return _cut_and_resume(place / "run", whole)


def _no_tmpdir(place: Path, whole: dict[str, Any]) -> str | None:
    os.environ["TMPDIR"] = str(place / "nowhere")
    return _cut_and_resume(place / "run", whole)


def _gone(place: Path, whole: dict[str, Any]) -> str | None:
    (place / "gone").mkdir()
    os.chdir(place / "gone")
    shutil.rmtree(place / "gone")
    return _cut_and_resume(place / "run", whole)
