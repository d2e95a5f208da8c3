"""What is measured: the rows of the benchmark, each a list of jobs that one round runs once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.speed import pendulum
from benchmarks.speed.jobs import Job
from benchmarks.speed.plan import BATCH_SIZE, FIRST_SEED, INVERTED, LIMIT_S, OURS, PENDULUM, WARMUP, Plan, case, core

VELORA, SB3, SBX, CLEANRL, RECURRENT_PPO = "velora 0.1.1", "SB3", "SBX", "CleanRL", "RecurrentPPO"
OUR_SEQUENCES = "benchmarks.speed.our_sequences"
PUBLISHED, BASELINES = "benchmarks.peers.velora_published", "benchmarks.peers.stable_baselines"
LIBRARIES = {SB3: "stable_baselines3", SBX: "sbx"}
SOLVED = 950.0
RECOMMENDED = {"batch_size": 256, "agent": {"actor_lr": 2e-4, "noise_final_std": 0.02}}
"""Of conf/env/inverted_pendulum, and noise that goes away, since what row 2 counts are returns of training."""
SHAPES = {"(128, 64, 17), 64 neurons": ((128, 64, 17), 64, 8), "(32, 16, 4), 20 neurons": ((32, 16, 4), 20, 1)}
"""(batch, time, inputs), neurons, and how many of them are motor neurons."""
SEQUENCE_LENGTH = 8
"""Of our recurrent training: 16 windows of 8 are as many samples as a batch of 128."""


def same_work(plan: Plan) -> Iterator[Job]:
    """Row 1: DDPG, one update per step, batch 128, replay of 100k."""
    yield core(plan)
    for env in (INVERTED,) if plan.quick else (INVERTED, PENDULUM):
        work = {"task": "train", "env": env, "batch_size": BATCH_SIZE, "skip": WARMUP, "seconds": plan.seconds}
        for name, library in LIBRARIES.items():
            yield Job(name, env, BASELINES, {**work, "library": library})
        yield Job(CLEANRL, env, "benchmarks.peers.cleanrl_script", {**work, "units": 64})
        for n in (20,) if plan.quick else (10, 20, 64):
            yield Job(VELORA, case(env, n), PUBLISHED, {**work, "n": n})
            for critic in ("liquid", "dense"):
                for kernel in plan.kernels:
                    settings = {**work, "n": n, "kernel": kernel, "agent": {"critic": critic}}
                    yield Job(f"{critic} critic, {kernel}", case(env, n), OURS, settings)
    work = {"task": "train", "env": INVERTED, "batch_size": BATCH_SIZE, "skip": WARMUP, "seconds": plan.seconds}
    for kernel in plan.kernels:
        agent = {"critic": "liquid", "seeds": list(range(10))}
        yield Job(
            f"ten seeds, {kernel}", case(INVERTED, 20), OURS, {**work, "n": 20, "kernel": kernel, "agent": agent}, 2
        )


def time_to_solve(plan: Plan, seed: int) -> Iterator[Job]:
    """Row 2: from the start of the process until the last ten training episodes return 950 on average."""
    limit_s = 20.0 if plan.quick else LIMIT_S
    work = {"task": "solve", "env": INVERTED, "target": SOLVED, "limit_s": limit_s, "seed": FIRST_SEED + seed}
    for kernel in plan.kernels:
        yield Job(kernel, INVERTED, OURS, {**work, **RECOMMENDED, "n": 20, "kernel": kernel}, limit_s=2 * limit_s)
    for name, library in LIBRARIES.items():
        settings = {**work, "library": library, "batch_size": BATCH_SIZE}
        yield Job(name, INVERTED, BASELINES, settings, limit_s=2 * limit_s)
    yield Job(VELORA, INVERTED, PUBLISHED, {**work, "n": 20}, limit_s=2 * limit_s)


def sequences(plan: Plan) -> Iterator[Job]:
    """Row 3: whole sequences through one recurrent layer."""
    yield core(plan)
    for name, (shape, units, outputs) in list(SHAPES.items())[1 if plan.quick else 0 :]:
        work = {"task": "sequence", "shape": shape, "units": units, "outputs": outputs, "seconds": plan.seconds / 2}
        for layer in ("ncps CfC", "ncps LTC", "GRU", "LSTM"):
            yield Job(layer, name, "benchmarks.peers.sequences", {**work, "layer": layer})
        for cell in ("cfc", "ltc"):
            for kernel in plan.kernels:
                yield Job(f"{cell}, {kernel}", name, OUR_SEQUENCES, {**work, "cell": cell, "kernel": kernel})


def scaling(plan: Plan) -> Iterator[Job]:
    """Row 4: how our cost grows; there is one environment for each seed, so S is E too."""
    yield core(plan)
    base = {"task": "scaling", "env": INVERTED, "batch_size": BATCH_SIZE, "skip": 50, "seconds": plan.seconds / 2}
    points: dict[str, tuple[int, dict[str, Any]]] = {}
    for s in (1, 4) if plan.quick else (1, 2, 4, 10, 32, 64):
        points[f"S = {s}"] = 20, {"seeds": list(range(s))}
    for n in (20,) if plan.quick else (10, 20, 40, 64, 128, 256):
        points[f"n = {n}"] = n, {}
    for t in (4,) if plan.quick else (1, 2, 4, 8, 16, 32, 64):
        points[f"T = {t}"] = 20, {"sequence_length": t}
    for name, (n, agent) in points.items():
        for kernel in plan.kernels:
            yield Job(kernel, name, OURS, {**base, "n": n, "kernel": kernel, "agent": agent})


def recurrent_training(plan: Plan) -> Iterator[Job]:
    """Row 5: learning along time, one update of 128 samples per step."""
    yield core(plan)
    work = {"env": PENDULUM, "seconds": plan.seconds}
    for n in (20,) if plan.quick else (20, 64):
        peer = {**work, "task": "recurrent", "batch_size": BATCH_SIZE, "n": n}
        yield Job(RECURRENT_PPO, f"n = {n}", "benchmarks.peers.recurrent_ppo", peer)
        for kernel in plan.kernels:
            ours = {**work, "task": "train", "batch_size": BATCH_SIZE // SEQUENCE_LENGTH, "n": n, "kernel": kernel}
            agent = {"sequence_length": SEQUENCE_LENGTH}
            yield Job(kernel, f"n = {n}", OURS, {**ours, "skip": 50, "agent": agent})


def saving(plan: Plan) -> Iterator[Job]:
    """Row 6: save and load, without the replay buffer and with one of 100k."""
    work = {"task": "checkpoint", "env": INVERTED, "batch_size": BATCH_SIZE, "repeats": 3 if plan.quick else 20}
    yield Job(VELORA, "n = 20", PUBLISHED, {**work, "n": 20})
    yield Job(SB3, "n = 20", BASELINES, {**work, "library": LIBRARIES[SB3]})
    for kernel in plan.kernels:
        yield Job(kernel, "n = 20", OURS, {**work, "n": 20, "kernel": kernel})


def on_a_gpu(plan: Plan) -> Iterator[Job]:
    """Row 7: when a GPU is worth it, beside the processor of the same machine with one core and with eight."""
    base = {"task": "scaling", "env": INVERTED, "batch_size": BATCH_SIZE, "skip": 50, "seconds": plan.seconds / 4}
    points: dict[str, tuple[int, dict[str, Any]]] = {
        f"S = {s}, n = 20": (20, {"seeds": list(range(s))}) for s in ((1, 16) if plan.quick else (1, 16, 64, 256, 1024))
    }
    if not plan.quick:
        points["S = 64, n = 128"] = 128, {"seeds": list(range(64))}
    for name, (n, sizes) in points.items():
        work = {**base, "n": n, "agent": {**sizes, "warmup_steps": 0, "buffer_size": 10_000}}
        for cores in (1, 8):
            yield Job(f"native, {cores} core{'s' * (cores > 1)}", name, OURS, {**work, "kernel": "native"}, cores)
        yield Job("GPU", name, OURS, {**work, "kernel": "torch", "device": "cuda"})


@dataclass(frozen=True, slots=True)
class Row:
    """Name a row, its rounds, what it measures, and the jobs of a round.

    Attributes:
        by_seed: each round is another seed of the same run, so that rounds differ by luck and all are shown.
    """

    number: int
    title: str
    rounds: int
    metrics: tuple[str, ...]
    jobs: Callable[[Plan, int], Iterator[Job]]
    by_seed: bool = False


ROWS = {
    row.number: row
    for row in (
        Row(1, "The same work", 5, ("steps_per_s", "peak_mb"), lambda plan, _: same_work(plan)),
        Row(2, "Time to solve InvertedPendulum-v5", 5, ("solved_s", "steps"), time_to_solve, by_seed=True),
        Row(3, "Sequences", 5, ("forward_ms", "both_ms"), lambda plan, _: sequences(plan)),
        Row(4, "Scaling", 3, ("step_ms", "update_ms"), lambda plan, _: scaling(plan)),
        Row(5, "Recurrent training", 5, ("steps_per_s",), lambda plan, _: recurrent_training(plan)),
        Row(6, "Saving and loading", 5, ("save_ms", "load_ms", "buffer_save_ms", "buffer_load_ms"),
            lambda plan, _: saving(plan)),
        Row(7, "On a GPU", 1, ("step_ms", "update_ms"), lambda plan, _: on_a_gpu(plan)),
        Row(8, "Beside RLtools", 5, ("steps_per_s", "compile_s"), lambda plan, _: pendulum.beside_rltools(plan)),
        Row(9, "Time to learn Pendulum-v1", 5, ("solved_s", "steps", "compile_s"), pendulum.time_to_learn,
            by_seed=True),
        Row(10, "Ten seeds beside rejax", 3, ("total_s", "solved_s", "steps", "compile_s"), pendulum.side_by_side),
    )
}  # fmt: skip
