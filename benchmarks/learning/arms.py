"""Train one arm of a study and return its evaluations."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch
from torch import Tensor

from benchmarks.learning.studies import Arm, Study
from benchmarks.learning.watch import Point, Watch
from benchmarks.speed.jobs import Job, run
from velora.checkpoint.registry import agents
from velora.core.cores import n_cores
from velora.core.types import Array
from velora.envs import Environments, dimensions
from velora.envs.wrappers import wrap
from velora.models import Agent
from velora.training.evaluation import evaluate, evaluation_seeds

EPISODES = 10
"""In one evaluation, always from the same reset seeds, for us and for the peers."""
TEST_EPISODES = 20
"""In one test, from reset seeds that no evaluation used."""
MEMORY = "first component"
"""Test that says how many percent of the recurrent state's variance lie in its first principal component."""
Tested = tuple[int, str, float]
"""Seed, test, mean return."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What came out, the seconds of all seeds together, and the GPU, if it was one."""

    points: list[Point]
    tests: list[Tested]
    seconds: float
    gpu: str = ""


def environment(
    study: Study, wrappers: Iterable[Mapping[str, Any]] | None = None, *, shows_state: bool = False
) -> gym.Env[Any, Any]:
    """Make the environment of a study, or of one of its tests.

    Args:
        shows_state: give the whole observation too, as ``info["state"]``, for critics that see more than the policy.
    """
    inside = ({"name": "PrivilegedState", "kwargs": {}},) if shows_state else ()
    return wrap(gym.make(study.env), (*inside, *(study.wrappers if wrappers is None else wrappers)))


def build(study: Study, arm: Arm, seeds: Sequence[int], device: str = "cpu") -> Agent:
    """Make our agent of an arm, for an environment of the study."""
    assert arm.agent is not None
    settings: dict[str, Any] = dict(arm.settings)
    env = environment(study)
    state_dim, action_dim = dimensions(env)
    env.close()
    made = agents.get(arm.agent)(
        state_dim, settings.pop("n_neurons"), action_dim, device=device, seeds=seeds, **settings
    )
    assert isinstance(made, Agent)
    return made


def train(study: Study, arm: Arm, keep: Path | None = None, device: str = "cpu") -> Trained:
    """Train all seeds of an arm, ours side by side in this process, a peer's in processes of their own; test them.

    Args:
        keep: a folder for the best of ours, in place of what is there.
        device: of ours; a peer stays on the CPU.
    """
    begin = time.monotonic()
    points, tests = _train_ours(study, arm, keep, device) if arm.agent else _train_peer(study, arm)
    gpu = torch.cuda.get_device_name(device) if arm.agent and device != "cpu" else ""
    return Trained(points, tests, time.monotonic() - begin, gpu)


def _train_ours(study: Study, arm: Arm, keep: Path | None, device: str) -> tuple[list[Point], list[Tested]]:
    agent = build(study, arm, study.seeds, device)
    watch = Watch(f"{study.name} | {arm.name}", every=study.evaluate_steps, n_steps=study.n_steps)
    agent.train(
        lambda: environment(study, shows_state=agent.privileged > 0),
        arm.batch_size,
        n_steps=study.n_steps,
        callbacks=[watch],
        evaluation_episodes=EPISODES,
        progress_bar=False,
        summary=False,
    )
    if keep is not None and watch.best is not None:
        shutil.rmtree(keep, ignore_errors=True)
        watch.best.save(keep / f"ep{watch.best.progress[0].episode}", config=True)
    tests = [
        (agent.seeds[k], test.name, float(value))
        for test in study.tests
        for k, value in enumerate(returns(agent, study, test.wrappers).mean(1))
    ]
    if study.measures_memory and agent.state_size:
        shares = first_component(recurrent_states(agent, study))
        tests += [(seed, MEMORY, share) for seed, share in zip(agent.seeds, shares, strict=True)]
    return watch.points, tests


def _environments(agent: Agent, study: Study, wrappers: Iterable[Mapping[str, Any]]) -> Environments:
    envs = [environment(study, wrappers) for _ in range(agent.n_seeds * TEST_EPISODES)]
    return Environments(envs, obs_dim=agent.settings.state_dim, shows_time=agent.sees_time)


def returns(agent: Agent, study: Study, wrappers: Iterable[Mapping[str, Any]]) -> Array:
    """Return what every seed earns in the episodes of a test, (S, episodes)."""
    return evaluate(agent, _environments(agent, study, wrappers), test_seeds())


def recurrent_states(agent: Agent, study: Study) -> Tensor:
    """Return the recurrent states that each seed is in during the episodes of a test, (S, steps, H)."""
    states: list[Tensor] = []

    def act(obs: Tensor, hidden: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        action, last = agent.act(obs, hidden, dt)
        states.append(last.clone())
        return action, last

    evaluate(agent, _environments(agent, study, study.wrappers), test_seeds(), act=act)
    return torch.cat(states, 1)


def first_component(states: Tensor) -> list[float]:
    """Return how many percent of the variance of each seed's states lie in their first principal component.

    Shapes:
        states: (S, steps, H).
    """
    centred = states.double() - states.double().mean(1, keepdim=True)
    variances = torch.linalg.svdvals(centred) ** 2
    shares: list[float] = (100.0 * variances[:, 0] / variances.sum(1)).tolist()
    return shares


def test_seeds() -> list[int]:
    """List the reset seeds of a test."""
    return evaluation_seeds(EPISODES + TEST_EPISODES)[EPISODES:]


def _train_peer(study: Study, arm: Arm) -> tuple[list[Point], list[Tested]]:
    def job(seed: int) -> tuple[list[Point], list[Tested]]:
        settings = {
            "task": "learn", "env": study.env, "n_steps": study.n_steps, "seed": seed, "wrappers": study.wrappers,
            "library": arm.library, "algorithm": arm.algorithm, "settings": dict(arm.settings),
            "evaluate_steps": study.evaluate_steps, "reset_seeds": evaluation_seeds(EPISODES),
            "tests": [[test.name, test.wrappers] for test in study.tests], "test_seeds": test_seeds(),
        }  # fmt: skip
        answer = run(
            Job(
                arm.name,
                study.name,
                "benchmarks.peers.learning",
                settings,
                limit_s=36_000.0,
                is_pinned=False,
                sees_ours=True,
            )
        )
        print(f"{study.name} | {arm.name} | seed {seed}: {answer['curve'][-1][1]:.1f}", flush=True)
        points = [(seed, int(step), float(value)) for step, value in answer["curve"]]
        return points, [(seed, name, float(value)) for name, value in answer["tests"]]

    with ThreadPoolExecutor(n_cores()) as pool:
        made = list(pool.map(job, study.seeds))
    return [point for points, _ in made for point in points], [test for _, tests in made for test in tests]
