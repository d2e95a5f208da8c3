"""Environments in processes that die, hang and raise: told in time, by whom, and gone on from to the same bits."""

from __future__ import annotations

import inspect
import itertools
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import gymnasium as gym

from benchmarks.reliability import forked
from benchmarks.reliability.exact import AGENTS, check
from benchmarks.reliability.subject import scratch
from benchmarks.reliability.tally import Job
from benchmarks.reliability.training import PENDULUM, TASKS, Task, Training, difference, everything, finish
from velora.models import Agent

TIMEOUT_S: Final = 2.0
STEPS: Final = (1, 8, 33)
RUN: Final = Training("LiquidTD3", n_steps=45, seeds=(5, 0), saving={"frequency": 2})


class Fails(gym.Wrapper[Any, Any, Any, Any]):
    """Fail in a way at the n-th call of the object."""

    def __init__(self, env: gym.Env[Any, Any], way: str, method: str, after: int) -> None:
        super().__init__(env)
        self.way, self.method, self.left = way, method, after

    def _call(self, method: str) -> None:
        if method == self.method:
            self.left -= 1
            if self.left == 0:
                WAYS[self.way]()

    def reset(self, **options: Any) -> Any:
        """Reset."""
        self._call("reset")
        return self.env.reset(**options)

    def step(self, action: Any) -> Any:
        """Step."""
        self._call("step")
        return self.env.step(action)


def _raise() -> None:
    raise ValueError("the simulator's own words")


WAYS: Final[dict[str, Callable[[], object]]] = {
    "ends with 3": lambda: os._exit(3),
    "is killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "crashes": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "hangs": lambda: time.sleep(60),
    "is stopped": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "raises": _raise,
}


@dataclass(frozen=True)
class Failing:
    """Make an environment that fails; it can be sent to a process."""

    task: Task
    way: str
    method: str
    after: int

    def __call__(self) -> gym.Env[Any, Any]:
        """Make it."""
        return Fails(self.task(), self.way, self.method, self.after)


def is_there() -> bool:
    """Return whether training takes environments in processes."""
    return "workers" in inspect.signature(Agent.train).parameters


def run(job: Job) -> None:
    """Let workers fail."""
    if not is_there():
        job.tally.notes.append("environments in processes aren't there in this version")
        return
    training = replace(RUN, options={"workers": 2, "worker_timeout_s": TIMEOUT_S})
    with scratch() as place:
        whole = forked.run(lambda: (RUN.go(place), everything(place))[1]).answer
    with scratch() as place:  # that takes most of its time to start the processes
        limit_s = 2 * forked.run(lambda: training.go(place) and None).seconds + 2 * TIMEOUT_S + 5
    cases = [
        (w, m, n) for w, m in itertools.product(WAYS, ("step", "reset")) for n in (STEPS if m == "step" else (1, 3))
    ]
    for way, method, after in job.each(job.some(cases, quick=3)):
        with scratch() as place:
            failing = Failing(training.task, way, method, after)
            ending = forked.run(lambda: training.go(place, env=failing))  # noqa: B023 - run at once
            case = f"a worker {way} at {method} {after}"
            if complaint := _complaint(ending, way, limit_s) or _afterwards(training, place, whole):
                job.tally.bad(complaint.partition(":")[0], f"{case}: {complaint}")
            else:
                job.tally.good("told in time, gone on from to the same bits")


def _complaint(ending: forked.Ending, way: str, limit_s: float) -> str | None:
    if ending.hung or ending.code != forked.RAISED:
        return f"ended otherwise: {ending}"
    kind, text = ending.answer
    if way == "raises":
        return (
            None if (kind, text) == ("ValueError", "the simulator's own words") else f"its own error is lost: {ending}"
        )
    if kind != "WorkerError" or "worker" not in text or "\n" in text:
        return f"an unclear error: {ending}"
    if ending.seconds > limit_s:
        return f"told too late: {ending.seconds:.0f} s"
    return None


def _afterwards(training: Training, place: Path, whole: dict[str, Any]) -> str | None:
    after = forked.run(lambda: (finish(training, place), everything(place))[1])
    if not after.is_fine:
        return f"can't go on afterwards: {after}"
    text = difference(whole, after.answer)
    return f"differs afterwards: {text}" if text else None


def resume(job: Job) -> None:
    """Resume exactly with environments in processes: the bits of the run that has none."""
    if not is_there():
        job.tally.notes.append("environments in processes aren't there in this version")
        return
    options = {"workers": 2, "worker_timeout_s": 60.0}
    trainings = {
        "LiquidDDPG on Pendulum": Training("LiquidDDPG", PENDULUM, settings=AGENTS["LiquidDDPG"]),
        "LiquidPPO on Hopper": Training(
            "LiquidPPO", TASKS["Hopper"], settings={**AGENTS["LiquidPPO"], "n_envs": 4}, n_steps=100
        ),
        "LiquidSAC on LunarLander": Training("LiquidSAC", TASKS["LunarLander"], settings=AGENTS["LiquidSAC"]),
    }
    for name, training in job.each(job.some(list(trainings.items()), quick=1)):
        cuts = sorted(job.random("workers", name).sample(range(1, training.n_steps), 2 if job.quick else 8))
        check(job, f"{name}, in processes", replace(training, options=options), cuts)
