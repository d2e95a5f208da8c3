"""Train every task with the default settings and write down every evaluation."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.learning.tasks import BATCH_SIZE, Task
from benchmarks.learning.watch import Watch
from velora.models import LiquidDDPG

FIELDS = ("env", "n_neurons", "seed", "step", "mean_return")
Row = tuple[str, int, int, int, float]


def run(task: Task, seeds: Sequence[int], *, n_steps: int | None = None) -> list[Row]:
    """Train all seeds of a task side by side in this process.

    Args:
        n_steps: a shorter run than the task's, for a smoke test; it learns from a quarter of it on.
    """
    sizes = task.state_dim, task.n_neurons, task.action_dim
    sooner: dict[str, Any] = {} if n_steps is None else {"warmup_steps": n_steps // 4}
    agent = LiquidDDPG(*sizes, actor_lr=task.actor_lr, device="cpu", seeds=seeds, **sooner)
    every = task.evaluate_steps if n_steps is None else n_steps // 2
    n_steps = task.n_steps if n_steps is None else n_steps
    watch = Watch(task.name, every=every, n_steps=n_steps)
    agent.train(
        task.env,
        BATCH_SIZE,
        n_steps=n_steps,
        callbacks=[watch],
        progress_bar=False,
        summary=False,
    )
    return [(task.env, task.n_neurons, *point) for point in watch.points]


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
