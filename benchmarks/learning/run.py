"""Train every task with the default settings and write down every evaluation."""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.learning.tasks import BATCH_SIZE, Task
from velora.callbacks import Callback
from velora.models import LiquidDDPG

FIELDS = ("env", "n_neurons", "seed", "step", "mean_return")
Row = tuple[str, int, int, int, float]


class EvaluateEverySteps(Callback):
    """Evaluate on a grid of environment steps, also in the middle of an episode."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.rows: list[Row] = []
        self._started = time.monotonic()

    def on_env_step(self, trainer: Any, agent: Any, transition: Any) -> None:
        """Evaluate when the grid is met, and say how far we are."""
        if trainer.step % self.task.evaluate_steps:
            return
        made = trainer.evaluate()
        for k, evaluation in enumerate(made):
            self.rows.append((self.task.env, self.task.n_neurons, agent.seeds[k], trainer.step, evaluation.mean))
        elapsed = time.monotonic() - self._started
        left = elapsed * (self.task.n_steps / trainer.step - 1)
        means = " ".join(f"{e.mean:8.1f}" for e in made)
        print(f"{self.task.name:24} step {trainer.step:6,} of {self.task.n_steps:,} | {means} | {left:4.0f} s left")


def run(task: Task, seeds: Sequence[int], *, n_steps: int | None = None) -> list[Row]:
    """Train all seeds of a task side by side in this process.

    Args:
        n_steps: a shorter run than the task's, for a smoke test.
    """
    sizes = task.state_dim, task.n_neurons, task.action_dim
    agent = LiquidDDPG(*sizes, actor_lr=task.actor_lr, device="cpu", seeds=seeds)
    watch = EvaluateEverySteps(task)
    agent.train(
        task.env,
        BATCH_SIZE,
        n_steps=task.n_steps if n_steps is None else n_steps,
        callbacks=[watch],
        progress_bar=False,
        summary=False,
    )
    return watch.rows


def write(rows: Sequence[Row], path: Path) -> None:
    """Write the raw evaluations, all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(FIELDS)
        table.writerows((*head, f"{value:.3f}") for *head, value in rows)
    os.replace(part, path)


def read(path: Path) -> list[Row]:
    """Read raw evaluations back."""
    with path.open(newline="") as file:
        return [
            (r["env"], int(r["n_neurons"]), int(r["seed"]), int(r["step"]), float(r["mean_return"]))
            for r in csv.DictReader(file)
        ]
