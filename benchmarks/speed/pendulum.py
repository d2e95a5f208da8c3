"""Rows 8 to 10: Pendulum beside the two fastest peers, RLtools and rejax."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.speed.arithmetic import dense_mflop
from benchmarks.speed.jobs import Job
from benchmarks.speed.plan import BATCH_SIZE, FIRST_SEED, LIMIT_S, OURS, PENDULUM, WARMUP, Plan, core
from velora.training.evaluation import evaluation_seeds

RLTOOLS, RLTOOLS_ALONE, REJAX = "RLtools", "RLtools, its own Pendulum", "rejax"
OUR_PENDULUM = "benchmarks.speed.our_pendulum"
COMPILED, SIDE_BY_SIDE = "benchmarks.peers.rltools_compiled", "benchmarks.peers.rejax_seeds"
ALGORITHMS = ("TD3", "SAC")
UNITS = (64, 64)
"""Of the peers' networks; our critic's are the same."""
N_NEURONS = 20
"""Of our policies."""
LEARNED, LOOK_EPISODES = -200.0, 10
MOST_STEPS = 100_000
N_SEEDS, SEED_STEPS, SEEDS_LIMIT_S = 10, 10_000, 900.0
"""Of row 10."""


def one_core(algorithm: str) -> str:
    """Name a case of row 8."""
    return f"{algorithm}, one core"


def two_cores(algorithm: str) -> str:
    """Name the other."""
    return f"{algorithm}, two cores"


def beside_rltools(plan: Plan) -> Iterator[Job]:
    """Row 8: TD3 and SAC on Pendulum, batch 128, layers of 64, one update per step; ours on two cores as well."""
    yield core(plan)
    work = {"task": "train", "env": PENDULUM, "batch_size": BATCH_SIZE, "skip": WARMUP, "seconds": plan.seconds}
    for algorithm in ALGORITHMS:
        own = {**work, "algorithm": algorithm}
        for name, environment in ((RLTOOLS, "gymnasium"), (RLTOOLS_ALONE, "own")):
            peer = {**own, "environment": environment, "seed": FIRST_SEED, "step_mflop": peer_mflop(algorithm)}
            yield Job(name, one_core(algorithm), COMPILED, peer)
        for kernel in plan.kernels:
            settings = {**own, "n": N_NEURONS, "kernel": kernel}
            yield Job(kernel, one_core(algorithm), OURS, settings)
            yield Job(kernel, two_cores(algorithm), OURS, settings, 2)


def peer_mflop(algorithm: str) -> float:
    """Count the arithmetic of one update of RLtools and of rejax."""
    return dense_mflop(algorithm, obs_dim=3, action_dim=1, units=UNITS, batch_size=BATCH_SIZE)


def time_to_learn(plan: Plan, seed: int) -> Iterator[Job]:
    """Row 9: from the start of the process, compilation included, until Pendulum returns -200 without noise."""
    limit_s = 60.0 if plan.quick else LIMIT_S
    for algorithm in ALGORITHMS:
        work = {**_learning(algorithm, FIRST_SEED + seed, limit_s), "n_steps": MOST_STEPS}
        for name, environment in ((RLTOOLS, "gymnasium"), (RLTOOLS_ALONE, "own")):
            yield Job(name, algorithm, COMPILED, {**work, "environment": environment}, limit_s=2 * limit_s)
        for kernel in plan.kernels:
            ours = {**work, "n": N_NEURONS, "kernel": kernel, "agent": {"seed": work["seed"]}}
            yield Job(kernel, algorithm, OUR_PENDULUM, ours, limit_s=2 * limit_s)


def _learning(algorithm: str, seed: int, limit_s: float) -> dict[str, Any]:
    return {
        "task": "learn", "env": PENDULUM, "algorithm": algorithm, "batch_size": BATCH_SIZE, "seed": seed,
        "target": LEARNED, "n_needed": 1, "reset_seeds": evaluation_seeds(LOOK_EPISODES), "limit_s": limit_s,
    }  # fmt: skip


def side_by_side(plan: Plan, seed: int) -> Iterator[Job]:
    """Row 10: ten seeds of 10,000 steps on two cores, from start to end; and until half of them have learned."""
    yield core(plan)
    n_steps = 2_000 if plan.quick else SEED_STEPS
    for algorithm in ALGORITHMS:
        learning = _learning(algorithm, FIRST_SEED + seed, 2 * LIMIT_S)
        for task, name in (("seeds", to_the_end(algorithm)), ("learn", f"{algorithm}, until half have learned")):
            work = {**learning, "task": task, "n_steps": n_steps, "n_needed": N_SEEDS // 2}
            peer = {**work, "n_seeds": N_SEEDS, "step_mflop": peer_mflop(algorithm)}
            yield Job(REJAX, name, SIDE_BY_SIDE, peer, 2, limit_s=SEEDS_LIMIT_S)
            first = 1_000 * (seed + 1)
            for kernel in plan.kernels:
                agent = {"seeds": list(range(first, first + N_SEEDS))}
                ours = {**work, "n": N_NEURONS, "kernel": kernel, "agent": agent}
                yield Job(kernel, name, OUR_PENDULUM, ours, 2, limit_s=SEEDS_LIMIT_S)


def to_the_end(algorithm: str) -> str:
    """Name the case of row 10 that measures whole runs."""
    return f"{algorithm}, {SEED_STEPS:,} steps"
