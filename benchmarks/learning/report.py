"""Turn raw evaluations into the table and the picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

from benchmarks.learning.run import Row
from benchmarks.learning.tasks import KEEP, LATER, TASKS, Outcome, Task, outcome

Curves = dict[int, list[tuple[int, float]]]
"""For each seed, (step, mean return) in order."""


def curves(rows: Sequence[Row]) -> dict[str, Curves]:
    """Sort raw evaluations by task and seed."""
    sorted_rows: dict[str, Curves] = defaultdict(lambda: defaultdict(list))
    for env, n_neurons, seed, step, value in rows:
        sorted_rows[f"{env}-n{n_neurons}"][seed].append((step, value))
    return sorted_rows


def outcomes(task: Task, by_seed: Curves) -> list[Outcome]:
    """Judge every seed."""
    return [outcome(task, seed, sorted(curve)) for seed, curve in sorted(by_seed.items())]


def table(rows: Sequence[Row]) -> str:
    """Write the Markdown table."""
    lines = [
        f"| task | neurons | solved at (k steps), by seed | promised | kept of {LATER} | last | seeds that hold |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, by_seed in curves(rows).items():
        task, judged = TASKS[name], outcomes(TASKS[name], by_seed)
        solved = " ".join("-" if o.solved_at is None else f"{o.solved_at // 1000}" for o in judged)
        kept = " ".join(f"{o.kept}" for o in judged)
        last = f"{min(o.last for o in judged):.0f} .. {max(o.last for o in judged):.0f}"
        holds = f"{sum(o.holds(task) for o in judged)} of {len(judged)}"
        lines.append(
            f"| {task.env} >= {task.threshold:g} | {task.n_neurons} | {solved} | {task.within_steps // 1000} "
            f"| {kept} | {last} | {holds} |"
        )
    lines += ["", f"A seed holds if it solves the task in time and keeps it in at least {KEEP} of the {LATER} later."]
    return "\n".join(lines)


def plot(rows: Sequence[Row], path: Path) -> None:
    """Draw each task: every seed thin, their mean bold, the threshold dashed."""
    by_task = curves(rows)
    columns = min(3, len(by_task))
    height = -(-len(by_task) // columns)
    figure, axes = plt.subplots(
        height, columns, figsize=(4.2 * columns, 3.0 * height), squeeze=False, layout="constrained"
    )
    for ax, (name, by_seed) in zip(axes.flat, by_task.items(), strict=False):
        task = TASKS[name]
        all_values = []
        for _, curve in sorted(by_seed.items()):
            steps, values = np.array(sorted(curve)).T
            all_values.append(values)
            ax.plot(steps / 1000, values, color="#0072B2", alpha=0.3, linewidth=1)
        ax.plot(
            steps / 1000, np.mean(all_values, 0), color="#0072B2", linewidth=2, label=f"mean of {len(by_seed)} seeds"
        )
        ax.axhline(task.threshold, color="#D55E00", linestyle="--", linewidth=1, label=f"solved: {task.threshold:g}")
        ax.set(title=f"{task.env}, {task.n_neurons} neurons", xlabel="thousand steps", ylabel="return")
        ax.legend(loc="lower right", fontsize="small")
    for ax in axes.flat[len(by_task) :]:
        ax.remove()
    figure.savefig(path, dpi=110)
    plt.close(figure)
