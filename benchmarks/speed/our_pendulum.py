"""Measure our agents on Pendulum, alone and ten side by side. Runs as a process, as the peers do."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.peers.protocol import Answer, Settings, serve
from benchmarks.speed.ours import make_agent, step_mflop
from velora.callbacks import Callback
from velora.core.types import Evaluation

EVERY = 5
"""Episodes between two looks at what the policies earn: 1,000 steps."""


class Learned(Callback):
    """End a run when enough seeds have earned a target, without noise and on average; note when that was.

    Args:
        started: when the process was started, as ``time.time()``.
        target: the mean return of the evaluation episodes.
        n_needed: seeds that have to earn it, now or at an earlier look.
        limit_s: when to give up, counted from ``started``.
    """

    def __init__(self, *, started: float, target: float, n_needed: int, limit_s: float) -> None:
        self._started, self._target, self._n_needed, self._limit_s = started, target, n_needed, limit_s
        self._have: set[int] = set()
        self.solved_s: float | None = None

    def on_evaluation_end(self, trainer: Any, agent: Any, evaluation: Evaluation) -> None:
        """Count the seeds."""
        elapsed = time.time() - self._started
        if evaluation.mean >= self._target:
            self._have.add(evaluation.seed_index)
        if len(self._have) >= self._n_needed and self.solved_s is None:
            self.solved_s = elapsed
            trainer.stop("learned")
        elif elapsed > self._limit_s:
            trainer.stop("out of time")


def learn(settings: Settings) -> Answer:
    """Rows 9 and 10: until one seed, or so many of several, have earned the target."""
    agent = make_agent(settings)
    learned = Learned(
        started=settings["started"],
        target=settings["target"],
        n_needed=settings["n_needed"],
        limit_s=settings["limit_s"],
    )
    agent.train(
        settings["env"],
        settings["batch_size"],
        n_steps=settings["n_steps"],
        evaluate_every=EVERY,
        callbacks=[learned],
        run_dir=Path("run"),
        threads=settings["threads"],
    )
    return {"solved_s": learned.solved_s, "steps": agent.progress[0].step}


def seeds(settings: Settings) -> Answer:
    """Row 10: a whole run without looking, from the start of the process to its end."""
    agent = make_agent(settings)
    agent.train(
        settings["env"],
        settings["batch_size"],
        n_steps=settings["n_steps"],
        run_dir=Path("run"),
        threads=settings["threads"],
    )
    total_s = time.time() - settings["started"]
    n_updates = sum(progress.update for progress in agent.progress)
    return {"total_s": total_s, "run_mflop": n_updates * step_mflop(agent, settings["batch_size"])}


if __name__ == "__main__":
    serve({"learn": learn, "seeds": seeds})
