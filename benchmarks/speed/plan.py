"""What all rows share: names, sizes, and how thorough to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.speed.arithmetic import CORE
from benchmarks.speed.jobs import Job

INVERTED, PENDULUM = "InvertedPendulum-v5", "Pendulum-v1"
OURS = "benchmarks.speed.ours"
BATCH_SIZE = 128
WARMUP = 400
"""Steps of a peer that don't count: random actions, compilation, and some more."""
FIRST_SEED = 100
"""Of the rows whose rounds are seeds: no setting was chosen on these."""
LIMIT_S = 120.0
"""After which a run that hasn't learned its task is given up."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Say how thorough to be.

    Attributes:
        kernels: of ours, each measured for itself.
        quick: a smoke test: the shortest times, and one case of each row.
    """

    kernels: Sequence[str] = ("native", "numpy")
    quick: bool = False

    @property
    def seconds(self) -> float:
        """How long to measure each thing."""
        return 1.0 if self.quick else 5.0


def case(env: str, n: int) -> str:
    """Name a case that depends on our number of neurons."""
    return f"{env}, n = {n}"


def core(plan: Plan) -> Job:
    """Measure what one core can do, which every row with arithmetic is drawn beside."""
    return Job(CORE, "products of large matrices", "benchmarks.speed.peak", {"task": "peak", "seconds": plan.seconds})
