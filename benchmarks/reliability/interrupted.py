"""Signals at random moments of real training, by real signals to real processes, until the run is through."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.reliability import forked
from benchmarks.reliability.subject import scratch
from benchmarks.reliability.tally import Job
from benchmarks.reliability.training import (
    REPLAY,
    ROLLOUT,
    TASKS,
    At,
    Training,
    difference,
    everything,
    finish,
    homes,
)
from velora.checkpoint import Checkpoint

EVALUATED = {"evaluate_every": 4, "evaluation_episodes": 1}
TRAININGS = {
    "ddpg on Pendulum": Training(n_steps=900, saving={"frequency": 7, "keep_last": 2}, options=EVALUATED),
    "td3 on InvertedPendulum, three seeds": Training(
        "LiquidTD3",
        TASKS["InvertedPendulum"],
        seeds=(3, 0, 11),
        n_steps=400,
        saving={"frequency": 6},
        options=EVALUATED,
    ),
    "ppo on Hopper, two environments": Training(
        "LiquidPPO", TASKS["Hopper"], n_steps=900, settings={**ROLLOUT, "n_envs": 2}, saving={"frequency": 5}
    ),
    "sac on CartPole, recurrent critic": Training(
        "LiquidSAC",
        TASKS["CartPole"],
        n_steps=500,
        settings={**REPLAY, "critic": "recurrent", "sequence_length": 3},
        saving={"frequency": 6},
    ),
}
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
ORDERLY_S = 2.0
"""How long a run may take to save and end after it was asked to."""
AT_MOST = 12
"""Signals that one run gets, but for the run that gets fifty."""


def run(job: Job, name: str, *, trials: int = 40) -> None:
    """Interrupt one kind of run at random moments, each until it is through."""
    training = TRAININGS[name]
    whole, seconds = _undisturbed(training)
    cases = job.some(range(trials), quick=2)
    for number in job.each(cases):
        generator = job.random("signals", name, number)
        with scratch(real=number % 10 == 0) as place:
            history: list[str] = []
            while len(history) < AT_MOST:
                kind = SIGNALS[generator.randrange(len(SIGNALS))]
                wait_s = generator.uniform(0.0, 1.05 * seconds)
                child = forked.start(lambda: _go_on(training, place))
                if not _strike(job, child, kind, wait_s, place, f"{name}, trial {number}, after {history}"):
                    break
                history.append(f"{kind.name} after {wait_s:.3f} s")
            else:
                forked.run(lambda: _go_on(training, place))
            _compare(job, training, place, whole, f"{name}, trial {number}: {', '.join(history)}")


def run_fifty(job: Job) -> None:
    """Kill one run fifty times."""
    name = "ddpg on Pendulum"
    training = TRAININGS[name].longer(2_500)
    whole, seconds = _undisturbed(training)
    generator = job.random("fifty")
    times = 8 if job.quick else 50
    with scratch() as place:
        for number in range(times):
            job.progress(number, times)
            # Between two checkpoints lie 63 steps; what is lost by one kill must not be more than is won on average.
            wait_s = generator.uniform(0.02, 5 * 63 / training.n_steps * seconds)
            child = forked.start(lambda: _go_on(training, place))
            _strike(job, child, signal.SIGKILL, wait_s, place, f"kill {number}")
        forked.run(lambda: finish(training, place))
        _compare(job, training, place, whole, f"{name}, killed {times} times")


def _undisturbed(training: Training) -> tuple[dict[str, Any], float]:
    with scratch() as place:
        ending = forked.run(lambda: (training.go(place), everything(place))[1])
        if not ending.is_fine:
            raise AssertionError(f"the undisturbed run fails: {ending}\n{ending.text}")
        return ending.answer, ending.seconds


def _go_on(training: Training, place: Path) -> str:
    """Resume, or begin anew, and leave a sign that a step was made."""
    begun = place / "begun"
    begun.unlink(missing_ok=True)
    result = finish(training, place, At(1, lambda trainer: begun.touch()))
    return str(result.status)


def _strike(job: Job, child: forked.Child, kind: signal.Signals, wait_s: float, place: Path, case: str) -> bool:
    """Send the signal, and judge how the run ends; False if it came to its end before."""
    if child.ends_within(wait_s):
        ending = child.wait()
        if not ending.is_fine:
            job.tally.bad("the run can't go on", f"{case}: {ending}")
        return False
    child.send(kind)
    sent_s = time.monotonic()
    if kind == signal.SIGUSR1 and not child.ends_within(0.0):
        ending = child.wait()
        if not ending.is_fine:
            _or_early(job, ending, place, f"{case}: {kind.name}", "the run didn't go on after its signal")
            return True
        job.tally.good("SIGUSR1: went on to its end")
        return False
    ending = child.wait()
    took_s = time.monotonic() - sent_s
    is_right = ending.code == -kind or (kind == signal.SIGINT and (ending.answer or [""])[0] == "KeyboardInterrupt")
    if ending.is_fine and ending.answer == "finished":
        return False  # it came in the run's last moment
    if not is_right:
        job.tally.bad(f"{kind.name}: ended otherwise", f"{case}: {ending}")
    elif kind != signal.SIGKILL and took_s > ORDERLY_S:
        job.tally.bad(f"{kind.name}: took {took_s:.1f} s to end", case)
    elif kind != signal.SIGKILL and (place / "begun").exists() and not _is_saved(place):
        job.tally.bad(f"{kind.name}: saved nothing", case)
    else:
        job.tally.good(kind.name)
    return True


def _or_early(job: Job, ending: forked.Ending, place: Path, case: str, words: str) -> None:
    """Forgive a signal that came before the run listened."""
    if (place / "begun").exists():
        job.tally.bad(words, f"{case}: {ending}")
    else:
        job.tally.good("SIGUSR1: before the first step")


def _is_saved(place: Path) -> bool:
    """Return whether an orderly end left a checkpoint of where it was, for every seed."""
    return all((home / "interrupted").exists() or (home / "final").exists() for home in homes(place).values())


def _compare(job: Job, training: Training, place: Path, whole: dict[str, Any], case: str) -> None:
    ending = forked.run(lambda: everything(place))
    text = difference(whole, ending.answer) if ending.is_fine else str(ending)
    if text:
        job.tally.bad("through, and differs", f"{case}: {text}")
    else:
        job.tally.good("through, to the same bits and rows")


COMMAND = (
    *(
        "train",
        "agent=liquid_ddpg",
        "env=pendulum",
        "train.n_episodes=12",
        "train.n_steps=1500",
        "agent.warmup_steps=50",
    ),
    *("agent.buffer_size=1000", "train.batch_size=16", "train.seed=3"),
)


def run_command(job: Job) -> None:
    """Interrupt ``velora train`` itself, from outside, and go on by ``resume=``."""
    with scratch(real=True) as place:
        _command(place / "whole").wait()
        whole = everything(place / "whole")
    for number in job.each(job.some(range(10), quick=2)):
        kind = SIGNALS[number % len(SIGNALS)]
        with scratch(real=True) as place:
            run_dir = place / "run"
            child = _command(run_dir)
            while child.poll() is None and not (run_dir / "checkpoints").exists():
                time.sleep(0.05)
            time.sleep(job.random("command", number).uniform(0.2, 2.0))
            child.send_signal(kind)
            child.wait(60)
            has = Checkpoint.latest(run_dir / "checkpoints")
            if has is None:  # killed before anything was saved: begin anew, elsewhere
                run_dir = place / "again"
            again = _command(run_dir, resume=has is not None)
            again.wait(120)
            case = f"velora train, {kind.name}, ended with {child.returncode}, then {again.returncode}"
            text = difference(whole, _left_by(run_dir)) if again.returncode == 0 else "it doesn't go on"
            if text:
                job.tally.bad("velora train differs", f"{case}: {text}")
            else:
                job.tally.good("velora train: through, to the same bits and rows")


def _command(run_dir: Path, *, resume: bool = False) -> subprocess.Popen[bytes]:
    words = ["train", f"resume={run_dir}"] if resume else [*COMMAND, f"hydra.run.dir={run_dir}"]
    return subprocess.Popen(
        [sys.executable, "-m", "velora", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _left_by(run_dir: Path) -> dict[str, Any]:
    try:
        return everything(run_dir)
    except (OSError, ValueError, sqlite3.Error) as error:
        return {"error": str(error)}
