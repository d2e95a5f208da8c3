"""What the page's own arithmetic and physics are compared with, computed here by Velora and Gymnasium.

``python -m tests.unit.watch.golden viewer/build/golden.json`` writes it for ``npm test``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import velora
from velora.envs import describe as described
from velora.envs.wrappers import wrap
from velora.export.describe import describe
from velora.export.json_form import json_form
from velora.models import Agent, LiquidPPO, LiquidSAC, LiquidTD3
from velora.nn.cells.registry import CELLS, VARIANTS
from velora.watch.neurons import Neurons
from velora.watch.task import TASKS, world_of

STEPS = 30
STUDIED = (
    "pendulum",
    "pendulum-positions",
    "pendulum-irregular-time",
    "mountain-car",
    "cartpole",
    "cartpole-positions",
)


def agents() -> dict[str, Agent]:
    """Make agents with every cell in every form, every way to tell the time, every kind of action, and the zoo's."""
    found: dict[str, Agent] = {}
    for name in VARIANTS:
        cell, takes_time = name.split()[0], CELLS[name.split()[0]].takes_time
        for time in ("both", "gate", "input", "none") if takes_time else ("input", "none"):
            found[f"{name}, time={time}"] = _agent(name, cell, time)
    found["SAC"] = LiquidSAC(4, 12, 2, seed=1, device="cpu")
    found["PPO, discrete"] = LiquidPPO(4, 12, 3, seed=1, discrete=True, device="cpu")
    found["PPO, normalised"] = normalised = LiquidPPO(4, 12, 2, seed=1, normalize_obs=True, device="cpu")
    assert normalised.normaliser is not None
    normalised.normaliser.count_observations([0], np.random.default_rng(1).normal(3.0, 0.5, (1, 50, 4)))
    return found | {f"zoo:{name}": velora.zoo(name, device="cpu") for name in velora.zoo()}


def _agent(name: str, cell: str, time: str) -> Agent:
    options: dict[str, Any] = dict(VARIANTS[name])
    form = {"cell_mode": options.get("mode", "default"), "mixed_memory": options.get("mixed_memory", False)}
    settings: dict[str, Any] = {"cell": cell, "time": time, **form}
    return LiquidTD3(4, 12, 2, seed=1, device="cpu", **settings)


def policy(agent: Agent, steps: int = STEPS) -> dict[str, Any]:
    """Let an agent predict along random observations and times; return that beside its policy."""
    form, numbers = describe(agent), np.random.default_rng(0)
    neurons, hidden, before = Neurons(form), None, np.zeros(form.n_state)
    rows = []
    for _ in range(steps):
        obs = numbers.normal(size=form.n_observations).astype(np.float32)
        dt = float(np.float32(numbers.uniform(0.2, 3.0)))
        action, hidden = agent.predict(obs, hidden, dt=dt)
        after = np.asarray(hidden, np.float64).ravel()
        norm = form.normalisation
        x = obs if norm is None else np.clip((obs - norm.mean) * norm.factor, -norm.most, norm.most)
        looked = neurons.look(np.append(x, np.log(dt)) if form.reads_log_dt else x, before, after, dt)
        before = after
        shown = [[None if np.isnan(one) else float(one) for one in part] for part in looked]
        rows.append([obs.tolist(), dt, np.ravel(action).tolist(), after.tolist(), *shown])
    return {"policy": json_form(form), "steps": rows}


def physics(env_id: str, seed: int, **keywords: Any) -> dict[str, Any]:
    """Step an environment of Gymnasium with random actions to the end of an episode."""
    env = gym.make(env_id, **keywords)
    chance = np.random.default_rng(seed)
    env.reset(seed=seed)
    found: dict[str, Any] = {
        "task": env_id.rpartition("-v")[0],
        "keywords": keywords,
        "begin": _state(env),
        "steps": [],
    }
    over = False
    while not over:
        space: Any = env.action_space
        if isinstance(space, gym.spaces.Discrete):
            action: Any = int(chance.integers(space.n))
        else:  # beyond its bounds too
            action = np.asarray(1.2 * chance.uniform(space.low, space.high), np.float32)
        obs, reward, terminated, truncated, _ = env.step(action)
        over = terminated or truncated
        found["steps"].append(
            [float(np.ravel(action)[0]), _state(env), obs.tolist(), float(reward), terminated, truncated]
        )
    return found


def _state(env: gym.Env[Any, Any]) -> list[float]:
    return [float(one) for one in env.unwrapped.state]  # type: ignore[attr-defined]


SURE: Mapping[str, Mapping[str, Any]] = {
    "HoldAction": {"hold": [2, 1, 3], "order": "cycle"},
    "Delay": {"actions": 1, "observations": 2},
}
"""Wrappers that draw nothing, put around an agent that is too clever for them."""


def world(name: str, *, troubled: bool) -> dict[str, Any]:
    """Let an agent of the zoo live an episode in its environment, whose chances are taken out."""
    agent = velora.zoo(name, device="cpu")
    assert agent.environment is not None
    own = [{**one, "kwargs": SURE.get(one["name"], one["kwargs"])} for one in agent.environment.get("wrappers", ())]
    if troubled:
        own += [{"name": "Delay", "kwargs": SURE["Delay"]}, {"name": "Flicker", "kwargs": {"probability": 0.0}}]
    env = wrap(gym.make(agent.environment["id"]), own)
    form = describe(agent)
    found: dict[str, Any] = {"policy": json_form(form), "environment": world_of(form, described(env)).environment}
    found["steps"] = []
    obs, _ = env.reset(seed=7)
    found["begin"], hidden, dt, over = _state(env), None, 1.0, False
    while not over:
        seen = obs.tolist()
        action, hidden = agent.predict(obs, hidden, dt=dt)
        obs, reward, terminated, truncated, info = env.step(action)
        over, dt = terminated or truncated, float(info.get("dt", 1.0))
        found["steps"].append([seen, float(np.ravel(action)[0]), float(reward), dt, terminated, truncated])
    return found


def golden() -> dict[str, Any]:
    """Compute all of it."""
    ids = ("Pendulum-v1", "CartPole-v1", "MountainCar-v0", "MountainCarContinuous-v0")
    assert [one.rpartition("-v")[0] for one in ids] == list(TASKS)
    return {
        "policies": {name: policy(agent) for name, agent in agents().items()},
        "physics": [
            *(physics(env_id, seed) for env_id in ids for seed in (0, 1, 2)),
            physics("Pendulum-v1", 3, g=9.81),
            physics("CartPole-v1", 3, sutton_barto_reward=True),
            physics("MountainCar-v0", 3, goal_velocity=0.01),
        ],
        "worlds": {
            **{name: world(name, troubled=False) for name in STUDIED},
            "pendulum, late": world("pendulum", troubled=True),
        },
    }


if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(golden(), allow_nan=False))
