"""Measure RLtools: C++ that its Python package compiles for agent and environment when they are made.

It is used as its package makes it, with MKL: without that its training takes eight times as long. Each process compiles
in a folder of its own, so that none finds what another has compiled.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import RescaleAction

from benchmarks.peers.protocol import Answer, Settings, serve

tempfile.tempdir = os.getcwd()
import rltools  # noqa: E402 - it looks for the temporary folder when it is imported

MOST_STEPS = 100_000
"""Also the size of the replay buffer."""
OWN_PENDULUM = {"path": str(Path(__file__).parent / "rltools_pendulum"), "action_dim": 1, "observation_dim": 3}
"""The same task in C++: as Gymnasium's, and as fast as arithmetic."""
EVERY = 1_000
"""Steps between two looks at what the policy earns."""


def _compile(settings: Settings) -> tuple[Any, float]:
    """Compile one algorithm for one environment; return its module, and how many seconds that took.

    Everything that isn't named here is the package's default: two layers of 64, and one update of the critics per step.
    """
    make = _rescaled(settings) if settings["environment"] == "gymnasium" else OWN_PENDULUM
    begin = time.perf_counter()
    module = getattr(rltools, settings["algorithm"])(
        make,
        enable_evaluation=False,
        interface_name="measured",
        ACTOR_BATCH_SIZE=settings["batch_size"],
        CRITIC_BATCH_SIZE=settings["batch_size"],
        STEP_LIMIT=MOST_STEPS,
    )
    return module, time.perf_counter() - begin


def _rescaled(settings: Settings) -> Callable[[], gym.Env[Any, Any]]:
    """Make a function that makes Gymnasium's environment with actions in [-1, 1], which RLtools asks for."""

    def make() -> gym.Env[Any, Any]:
        env = RescaleAction(gym.make(settings["env"]), np.float32(-1.0), np.float32(1.0))
        env.reset(seed=settings["seed"])
        return env

    return make


def _versions() -> dict[str, str]:
    try:
        return {"mkl": version("mkl")}
    except PackageNotFoundError:
        return {}


def train(settings: Settings) -> Answer:
    """Row 8: steps per second while learning."""
    module, compile_s = _compile(settings)
    state = module.State(settings["seed"])
    for _ in range(settings["skip"]):
        state.step()
    steps, begin = 0, time.perf_counter()
    while (seconds := time.perf_counter() - begin) < settings["seconds"] and steps + settings["skip"] < MOST_STEPS:
        state.step()
        steps += 1
    rates = {"steps": steps, "seconds": seconds, "steps_per_s": steps / seconds}
    return {**rates, "compile_s": compile_s, "step_mflop": settings["step_mflop"], "versions": _versions()}


def learn(settings: Settings) -> Answer:
    """Row 9: until the policy without noise earns the target on average, looked at now and then."""
    module, compile_s = _compile(settings)
    state, env, steps = module.State(settings["seed"]), _rescaled(settings)(), 0
    while steps < MOST_STEPS and time.time() - settings["started"] < settings["limit_s"]:
        for _ in range(EVERY):
            state.step()
        steps += EVERY
        if statistics.fmean(_return(state, env, seed) for seed in settings["reset_seeds"]) >= settings["target"]:
            solved_s: float | None = time.time() - settings["started"]
            break
    else:
        solved_s = None
    return {"solved_s": solved_s, "steps": steps, "compile_s": compile_s, "versions": _versions()}


def _return(state: Any, env: gym.Env[Any, Any], reset_seed: int) -> float:
    """Play an episode without noise and learning."""
    obs, _ = env.reset(seed=reset_seed)
    total, ended = 0.0, False
    while not ended:
        obs, reward, terminated, truncated, _ = env.step(state.action(obs))
        total += float(reward)
        ended = terminated or truncated
    return total


if __name__ == "__main__":
    serve({"train": train, "learn": learn})
