"""Kill a sweep at random moments, go on with it each time, and compare what it leaves with the undisturbed one."""

from __future__ import annotations

import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.reliability.training import difference
from benchmarks.sweeps import processes
from benchmarks.sweeps.subject import LAUNCHERS, Sweep
from velora.analysis.outcome import Status

EVERYTHING, WORKER, PARENT = "everything", "a worker", "the command"
KINDS: Final = (EVERYTHING, WORKER, EVERYTHING, PARENT, WORKER)
"""What is killed, in this order: every process at once, as by a power cut; one that trains; the command alone."""
_LOOK_S: Final = 0.1
_WAIT_S: Final = 1200.0
Say = Callable[[str], object]


@dataclass
class Strike:
    """One kill, and what the sweep was when it came.

    Attributes:
        kind: what was killed.
        fraction: how much of all steps had been made.
        jobs: how many jobs stood how, once all processes were gone.
        resumed_by: the launcher that went on.
    """

    kind: str
    fraction: float
    jobs: dict[str, int]
    resumed_by: str = ""


@dataclass
class Trial:
    """A sweep under one launcher, from its first command to its last.

    Attributes:
        exit_code: of the last command, which nobody killed.
        different: the jobs that aren't the undisturbed ones, and in what.
        rows: how many metric rows were compared.
    """

    launcher: str
    strikes: list[Strike] = field(default_factory=list)
    exit_code: int | None = None
    equal: int = 0
    different: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    seconds: float = 0.0

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Whole:
    """What the undisturbed sweep left: of every job, and its table over seeds."""

    jobs: Mapping[str, Mapping[str, Any]]
    table: list[dict[str, str]]


def undisturbed(sweep: Sweep, name: str = "processes") -> Whole:
    """Run the sweep to its end, unless that was done before, and read what it left.

    Raises:
        RuntimeError: if it fails.
    """
    log = sweep.place / "log"
    if (sweep.directory / "table.csv").exists():
        return Whole(sweep.everything(), sweep.table())
    process = sweep.start(name, secrets.token_hex(8), log, resumed=False)
    if process.wait(_WAIT_S) != 0:
        raise RuntimeError(f"the undisturbed sweep ended with {process.returncode}: {log.read_text()[-2000:]}")
    return Whole(sweep.everything(), sweep.table())


def disturbed(sweep: Sweep, name: str, whole: Whole, rng: random.Random, *, n_kills: int, say: Say = print) -> Trial:
    """Run the sweep, kill it so many times, go on each time, and compare.

    Args:
        name: the launcher; once it goes on with that launcher's other one.
    """
    trial, began_s = Trial(name), time.monotonic()
    kinds = [KINDS[k % len(KINDS)] for k in range(n_kills)]
    rng.shuffle(kinds)
    moments = sorted(rng.uniform(0.0, 0.8) for _ in kinds)
    elsewhere = rng.randrange(n_kills) if n_kills else None
    launcher = name
    for number, (kind, moment) in enumerate(zip(kinds, moments, strict=True)):
        strike = _strike(sweep, launcher, kind, moment, rng, resumed=number > 0, n_jobs=len(whole.jobs))
        launcher = LAUNCHERS[name].other if number == elsewhere else name
        strike.resumed_by = launcher
        trial.strikes.append(strike)
        say(f"{name}: killed {kind} at {strike.fraction:.0%}: {_counted(strike.jobs)}; goes on by {launcher}")
    trial.exit_code = _finish(sweep, launcher, resumed=bool(kinds))
    _compare(trial, whole, sweep)
    trial.seconds = round(time.monotonic() - began_s, 1)
    equal = f"{trial.equal} of {len(whole.jobs)} jobs equal to the bit"
    say(f"{name}: exit code {trial.exit_code}, {equal}, {trial.rows} rows")
    return trial


def _strike(
    sweep: Sweep, launcher: str, kind: str, moment: float, rng: random.Random, *, resumed: bool, n_jobs: int
) -> Strike:
    """Start a command, and kill what is to be killed once the sweep has come so far."""
    token = secrets.token_hex(8)
    process = sweep.start(launcher, token, sweep.place / "log", resumed=resumed)
    try:
        _wait_until(lambda: sweep.fraction(n_jobs) >= moment or process.poll() is not None)
        time.sleep(rng.uniform(0.0, 1.0))
        if kind == WORKER:
            _wait_until(lambda: _kill_worker(sweep, token, rng) or process.poll() is not None)
        fraction = sweep.fraction(n_jobs)
        if kind == EVERYTHING:
            processes.kill_all(token)
        elif kind == PARENT:
            processes.kill(process.pid)
            time.sleep(rng.uniform(0.0, 2.0))  # those left behind train on, or end
            processes.kill_all(token)
        process.wait(_WAIT_S)
    finally:
        processes.kill_all(token)
    return Strike(kind, round(fraction, 3), dict(Counter(map(str, sweep.statuses().values()))))


def _kill_worker(sweep: Sweep, token: str, rng: random.Random) -> bool:
    """Kill a process that trains a job; return whether there was one."""
    workers = sorted(processes.training(token, sweep.directory))
    if workers:
        processes.kill(rng.choice(workers))
    return bool(workers)


def _finish(sweep: Sweep, launcher: str, *, resumed: bool) -> int:
    token = secrets.token_hex(8)
    process = sweep.start(launcher, token, sweep.place / "log", resumed=resumed)
    try:
        return process.wait(_WAIT_S)
    finally:
        processes.kill_all(token)


def _compare(trial: Trial, whole: Whole, sweep: Sweep) -> None:
    """Compare every job with that of the same name in the undisturbed sweep."""
    statuses = {job.name: status for job, status in sweep.statuses().items()}
    done = {name for name, status in statuses.items() if status is Status.FINISHED}
    found = sweep.everything() if done == statuses.keys() else {}
    for name, job in whole.jobs.items():
        if name not in done:
            trial.different[name] = f"is {statuses.get(name, 'not there')}"
        elif name in found and (text := difference(job, found[name])):
            trial.different[name] = text
        else:
            trial.equal += 1
        trial.rows += sum(len(rows) for rows in job.values() if isinstance(rows, list))
    if not found or sweep.table() != whole.table:
        trial.different["table.csv"] = "is another"
    for name in statuses.keys() - whole.jobs.keys():
        trial.different[name] = "is no job of the undisturbed sweep"


def _wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + _WAIT_S
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError("the sweep does not get on")
        time.sleep(_LOOK_S)


def _counted(jobs: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {status}" for status, count in sorted(jobs.items())) or "no job had begun"


def chosen(names: Sequence[str]) -> list[str]:
    """Return the launchers of these names, or all; those whose environment is missing are left out, with a word."""
    found = []
    for name in names or LAUNCHERS:
        if LAUNCHERS[name].python.exists():
            found.append(name)
        else:
            print(f"{name}: left out, since {LAUNCHERS[name].python} is not there; make {name} makes it")
    return found


def place(root: Path, name: str) -> Path:
    """Make a directory to type commands in."""
    made = root / name
    made.mkdir(parents=True, exist_ok=True)
    return made
