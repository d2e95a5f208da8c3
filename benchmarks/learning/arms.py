"""Train one arm of a study and return its evaluations."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.learning.studies import Arm, Study
from benchmarks.learning.watch import Point, Watch
from benchmarks.speed.jobs import Job, run
from velora.checkpoint.registry import agents
from velora.core.devices import n_cores
from velora.envs.wrappers import wrap
from velora.models import Agent
from velora.training.evaluation import evaluation_seeds

EPISODES = 10
"""In one evaluation, always from the same reset seeds, for us and for the peers."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What came out, and the seconds of all seeds together."""

    points: list[Point]
    seconds: float


def environment(study: Study) -> gym.Env[Any, Any]:
    """Make the environment of a study."""
    return wrap(gym.make(study.env), study.wrappers)


def build(study: Study, arm: Arm, seeds: Sequence[int]) -> Agent:
    """Make our agent of an arm, for an environment of the study."""
    assert arm.agent is not None
    settings: dict[str, Any] = dict(arm.settings)
    env = environment(study)
    (state_dim,) = env.observation_space.shape or (0,)
    space = env.action_space
    action_dim = int(getattr(space, "n", 0)) or int(np.prod(space.shape or ()))
    env.close()
    made = agents.get(arm.agent)(
        state_dim, settings.pop("n_neurons"), action_dim, device="cpu", seeds=seeds, **settings
    )
    assert isinstance(made, Agent)
    return made


def train(study: Study, arm: Arm) -> Trained:
    """Train all seeds of an arm: ours side by side in this process, a peer's in processes of their own."""
    begin = time.monotonic()
    points = _train_ours(study, arm) if arm.agent else _train_peer(study, arm)
    return Trained(points, time.monotonic() - begin)


def _train_ours(study: Study, arm: Arm) -> list[Point]:
    agent, watch = (
        build(study, arm, study.seeds),
        Watch(f"{study.name} | {arm.name}", every=study.evaluate_steps, n_steps=study.n_steps),
    )
    agent.train(
        lambda: environment(study),
        arm.batch_size,
        n_steps=study.n_steps,
        callbacks=[watch],
        evaluation_episodes=EPISODES,
        progress_bar=False,
        summary=False,
    )
    return watch.points


def _train_peer(study: Study, arm: Arm) -> list[Point]:
    def job(seed: int) -> list[Point]:
        settings = {
            "task": "learn", "env": study.env, "n_steps": study.n_steps, "seed": seed,
            "library": arm.library, "algorithm": arm.algorithm, "settings": dict(arm.settings),
            "evaluate_steps": study.evaluate_steps, "reset_seeds": evaluation_seeds(EPISODES),
        }  # fmt: skip
        answer = run(
            Job(arm.name, study.name, "benchmarks.peers.learning", settings, limit_s=36_000.0, is_pinned=False)
        )
        print(f"{study.name} | {arm.name} | seed {seed}: {answer['curve'][-1][1]:.1f}", flush=True)
        return [(seed, int(step), float(value)) for step, value in answer["curve"]]

    with ThreadPoolExecutor(n_cores()) as pool:
        return [point for curve in pool.map(job, study.seeds) for point in curve]
