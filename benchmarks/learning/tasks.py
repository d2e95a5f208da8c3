"""What is learned, how long, and what counts as solved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LATER = 10
"""Evaluations after the first that passes, in which the agent has to keep what it learned."""
KEEP = 8
"""How many of those have to pass."""
BATCH_SIZE = 256
"""As in conf/train/default.yaml; a test compares them."""


@dataclass(frozen=True, slots=True)
class Task:
    """Describe one row of the table.

    ``threshold`` is the mean return over ten fixed episodes that counts as solved, ``within_steps`` is the promise,
    ``evaluate_steps`` lie between two evaluations, ``actor_lr`` is what conf/env recommends (a test compares them).
    """

    env: str
    state_dim: int
    action_dim: int
    n_neurons: int
    threshold: float
    within_steps: int
    evaluate_steps: int
    actor_lr: float

    @property
    def name(self) -> str:
        """Name the row."""
        return f"{self.env}-n{self.n_neurons}"

    @property
    def n_steps(self) -> int:
        """Environment steps of a whole run: the promise, and the evaluations after it."""
        return self.within_steps + LATER * self.evaluate_steps


@dataclass(frozen=True, slots=True)
class Outcome:
    """Say when one seed solved its task (``None``: never) and how many of the later evaluations passed."""

    seed: int
    solved_at: int | None
    kept: int
    later: int
    last: float

    def holds(self, task: Task) -> bool:
        """Tell whether the promise was kept."""
        return self.solved_at is not None and self.solved_at <= task.within_steps and self.kept >= KEEP


def outcome(task: Task, seed: int, curve: Sequence[tuple[int, float]]) -> Outcome:
    """Read one seed's outcome off its evaluations.

    Args:
        curve: (environment step, mean return) in order.
    """
    passed = [value >= task.threshold for _, value in curve]
    if True not in passed:
        return Outcome(seed, None, 0, 0, curve[-1][1])
    first = passed.index(True)
    after = passed[first + 1 : first + 1 + LATER]
    return Outcome(seed, curve[first][0], sum(after), len(after), curve[-1][1])


PENDULUM = [Task("Pendulum-v1", 3, 1, n, -200.0, 10_000 if n == 10 else 6_000, 1_000, 3e-4) for n in (10, 20, 40)]
INVERTED = [
    Task("InvertedPendulum-v5", 4, 1, n, 950.0, 20_000 if n == 10 else 15_000, 2_000, 2e-4) for n in (10, 20, 40)
]
TASKS = {task.name: task for task in (*PENDULUM, *INVERTED)}
