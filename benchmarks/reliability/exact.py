"""Exact resume: every agent, environment, kernel and number of environments, cut at any step, in a new process."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.reliability import forked
from benchmarks.reliability.subject import scratch
from benchmarks.reliability.tally import Job
from benchmarks.reliability.training import REPLAY, ROLLOUT, TASKS, Training, difference, everything
from velora.callbacks import Callback

AGENTS = {
    "LiquidDDPG": REPLAY,
    "LiquidTD3": REPLAY,
    "LiquidSAC": REPLAY,
    "LiquidREDQ": {**REPLAY, "n_critics": 3, "updates_per_step": 2},
    "LiquidPPO": ROLLOUT,
}
DISCRETE = ("LiquidSAC", "LiquidPPO")
KERNELS = ("native", "numpy", "torch")
STEPS, CUTS = 110, 8


def trainings() -> dict[str, Training]:
    """Name every combination."""
    found = {}
    for kernel in KERNELS:
        for place, task in TASKS.items():
            for agent, settings in AGENTS.items():
                if task.discrete and agent not in DISCRETE:
                    continue
                for n_envs in (1, 4) if agent == "LiquidPPO" else (1,):
                    own = {**settings, "n_envs": n_envs} if agent == "LiquidPPO" else settings
                    name = f"{agent} on {place}, {kernel}" + (f", {n_envs} environments" if n_envs > 1 else "")
                    options = {"evaluate_every": 3, "evaluation_episodes": 1}
                    found[name] = Training(
                        agent, task, kernel, n_steps=STEPS, settings=own, saving={"frequency": 3}, options=options
                    )
    return found


def run(job: Job) -> None:
    """Cut every combination at random steps."""
    cases = job.some(list(trainings().items()), quick=6)
    cuts = 2 if job.quick else CUTS
    for number, (name, training) in enumerate(cases):
        job.progress(number * cuts, len(cases) * cuts)
        check(job, name, training, sorted(job.random("cuts", name).sample(range(1, training.n_steps), cuts)))
    job.progress(len(cases) * cuts, len(cases) * cuts)


def check(job: Job, name: str, training: Training, cuts: list[int], *, env: Any = None) -> None:
    """Cut one run at several steps, and go on from each cut in a process of its own.

    Args:
        env: makes the environment; the training's own by default.
    """
    with scratch() as place:
        ending = forked.run(
            lambda: (training.go(place / "whole", Cut(place, cuts), env=env), everything(place / "whole"))[1]
        )
        if not ending.is_fine:
            job.tally.bad("the undisturbed run fails", f"{name}: {ending}")
            return
        for cut in cuts:
            judge(job, ending.answer, resume(training, place, cut, env=env), f"{name}, cut after step {cut}")
            shutil.rmtree(place / f"from {cut}", ignore_errors=True)


def resume(training: Training, place: Path, cut: int, *, env: Any = None) -> forked.Ending:
    """Go on from a cut, in a child; the answer is what it left, and what it said before its first step."""

    def go() -> tuple[dict[str, Any], list[str]]:
        listener = Listener()
        logging.getLogger("velora").addHandler(listener)
        there = place / f"from {cut}"
        training.go(there, listener.callback, resume=place / f"cut {cut}" / "ep", env=env)
        return everything(there), listener.said

    (place / f"from {cut}").mkdir()
    shutil.copy(place / f"cut {cut}" / "metrics.db", place / f"from {cut}")
    return forked.run(go)


def judge(
    job: Job,
    whole: dict[str, Any],
    ending: forked.Ending,
    case: str,
    *,
    refusal: str = "can't go on",
    is_hidden: bool = False,
) -> None:
    """Count a resume: the same, or said to be another before the first step.

    Args:
        is_hidden: nothing of the chance in the environment had shown before the cut, so that nobody could know.
    """
    if not ending.is_fine:
        job.tally.bad(refusal, f"{case}: {ending}")
        return
    found, said = ending.answer
    text = difference(whole, found)
    if text is None:
        job.tally.good("the same bits and rows")
    elif said:
        job.tally.good("other, and said so before the first step")
    elif is_hidden:
        job.tally.good("other, by a chance that had not shown before the cut")
    else:
        job.tally.bad("silently other", f"{case}: {text}")


class Cut(Callback):
    """Save after some steps what a resume needs: the checkpoint, and the metrics as they are then."""

    def __init__(self, place: Path, steps: list[int]) -> None:
        self.place, self.steps = place, list(steps)

    def on_env_step(self, trainer: Any, agent: Any, transition: Any) -> None:
        """Save at each of the steps; several environments make several steps at once."""
        while self.steps and trainer.step >= self.steps[0]:
            there = self.place / f"cut {self.steps.pop(0)}"
            there.mkdir()
            running = trainer.progress[0].places[0].running
            (there / "length").write_text(str(running.length if running else 0))
            trainer.save(there / "ep")

    def on_checkpoint_saved(self, trainer: Any, agent: Any, path: Path) -> None:
        """Copy the metrics beside a cut."""
        if path.parent.name.startswith("cut "):
            with (
                closing(sqlite3.connect(self.place / "whole" / "metrics.db")) as source,
                closing(sqlite3.connect(path.parent / "metrics.db")) as copy,
            ):
                source.backup(copy)


class Listener(logging.Handler):
    """Keep the warnings of a resume that come before its first step."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []
        self.callback = _Deaf(self)
        self.listens = True

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what is said of the resume."""
        text = record.getMessage()
        if self.listens and text.startswith("resume:"):
            self.said.append(text)


class _Deaf(Callback):
    """Let a listener hear no more after the first step."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def on_env_step(self, trainer: Any, agent: Any, transition: Any) -> None:
        """Close its ears."""
        self._listener.listens = False
