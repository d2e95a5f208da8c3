"""Distil the teacher of ``benchmarks.distill.teacher`` into students of 64 neurons, and write a table of returns.

Run as ``python -m benchmarks.distill teacher=<file.onnx> steps=30000``; ``arms=`` chooses some of them by name, and
``report=true`` only writes the table from the returns that are kept in ``results/``. Needs onnxruntime.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.distill.report import file_of, write
from velora.callbacks import Schedule
from velora.distill import Teacher, distill, open_teacher
from velora.distill.playing import play
from velora.envs import Environments
from velora.envs.wrappers import DropObservation
from velora.models import Agent, LiquidSAC, LiquidTD3
from velora.training.evaluation import evaluate, reset_seeds

ENVIRONMENT, SEEDS, N_NEURONS, N_ACTIONS = "HalfCheetah-v5", (0, 1, 2, 3, 4), 58, 6
EPISODES, RESET_SEED = 20, 2026
"""Episodes that neither training nor its evaluation has played."""
RESULTS = Path(__file__).parent / "results"
LEARNING_RATE = 3e-3


@dataclass(frozen=True)
class Arm:
    """A student.

    Attributes:
        kind: class of the agent.
        settings: of it, beside those that all have.
        hides: whether it sees positions alone.
    """

    name: str
    kind: type[Agent]
    settings: dict[str, Any]
    hides: bool = False


ARMS = (
    Arm("CfC", LiquidTD3, {"cell": "cfc"}),
    Arm("GRU", LiquidTD3, {"cell": "gru"}),
    Arm("CfC, positions", LiquidTD3, {"cell": "cfc"}, hides=True),
    Arm("GRU, positions", LiquidTD3, {"cell": "gru"}, hides=True),
    Arm("CfC, linear head", LiquidSAC, {"cell": "cfc"}),
)


def train(arm: Arm, teacher: Teacher, n_steps: int) -> Agent:
    """Train five students side by side."""
    hide = partial(DropObservation, drop="velocity") if arm.hides else None
    agent: Agent = arm.kind(
        8 if arm.hides else 17,
        N_NEURONS,
        N_ACTIONS,
        seeds=SEEDS,
        device="cpu",
        buffer_size=n_steps,
        warmup_steps=2_000,
        sequence_length=16,
        actor_lr=LEARNING_RATE,
        normalize_obs=True,
        **arm.settings,
    )
    decay = Schedule("actor_lr", start=LEARNING_RATE, end=0.03 * LEARNING_RATE, steps=n_steps)
    distill(
        agent,
        teacher,
        ENVIRONMENT,
        64,
        student=hide,
        beta_steps=2_000,
        updates_per_step=0.3,
        n_steps=n_steps,
        callbacks=decay,
        summary=False,
        progress_bar=False,
        threads=1,
    )
    return agent


def score(agent: Agent, *, hides: bool) -> list[list[float]]:
    """Play the fresh episodes with every seed; return (S, episodes)."""
    made = [gym.make(ENVIRONMENT) for _ in SEEDS]
    envs = [DropObservation(env, "velocity") if hides else env for env in made]
    lanes = Environments(envs, obs_dim=8 if hides else 17)
    returns = evaluate(agent, lanes, reset_seeds(RESET_SEED, EPISODES), max_steps=1_000)
    return [[float(value) for value in row] for row in returns]


def main(words: list[str]) -> None:
    """Train and score the arms that are asked for, keep their returns, and write the table."""
    options = {
        "teacher": "teacher.onnx",
        "steps": "60000",
        "arms": "",
        "report": "",
        **dict(w.split("=") for w in words),
    }
    chosen = [arm for arm in ARMS if not options["arms"] or arm.name in options["arms"].split("|")]
    RESULTS.mkdir(exist_ok=True)
    if not options["report"]:
        teacher, n_steps = open_teacher(options["teacher"]), int(options["steps"])
        env = gym.make(ENVIRONMENT)
        teacher.check(env)
        returns = play(teacher, env, reset_seeds(RESET_SEED, EPISODES), max_steps=1_000).returns
        _keep("teacher.json", {"digest": teacher.digest, "returns": [returns]})
        print(f"teacher {np.mean(returns):.0f}", flush=True)
        for arm in chosen:
            agent = train(arm, teacher, n_steps)
            scores = score(agent, hides=arm.hides)
            _keep(
                file_of(arm.name, n_steps),
                {"arm": arm.name, "teacher": teacher.digest, "steps": n_steps, "returns": scores},
            )
            print(arm.name, [round(float(np.mean(row))) for row in scores], flush=True)
    print(write(RESULTS, [arm.name for arm in ARMS], N_NEURONS + N_ACTIONS))


def _keep(name: str, result: dict[str, Any]) -> None:
    (RESULTS / name).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
