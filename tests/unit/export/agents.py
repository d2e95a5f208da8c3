"""Agents that exports are tried with, and the trace that each is compared along."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.export.policy import Policy
from velora.export.replay import Replay
from velora.models import Agent, LiquidTD3
from velora.nn.cells.registry import VARIANTS

Step = Callable[[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]], tuple[NDArray[Any], NDArray[Any]]]
"""Step of an exported policy over a batch: observation, state and dt become action and next state."""

WITH_TIME = [(name, time) for time in ("gate", "input", "both", "none") for name in VARIANTS]
"""Every form of a cell with every value of ``time``."""


def of_variant(name: str, kind: type[Agent] = LiquidTD3, **settings: Any) -> Agent:
    """Make an untrained agent with a cell in one of its forms, by its name in ``VARIANTS``."""
    options: dict[str, Any] = dict(VARIANTS[name])
    form = {"cell_mode": options.get("mode", "default"), "mixed_memory": options.get("mixed_memory", False)}
    return kind(4, 12, 2, seed=1, cell=name.split()[0], **form, **settings)


def observe_much(agent: Agent) -> Agent:
    """Let an agent that normalises its observations know their statistics."""
    assert agent.normaliser is not None
    seen = np.random.default_rng(1).normal(3.0, 0.5, (1, 50, agent.settings.state_dim))
    agent.normaliser.count_observations([0], seen)
    return agent


def trace(policy: Policy, steps: int) -> Iterator[tuple[NDArray[np.float32], float]]:
    """Draw observations and times."""
    numbers = np.random.default_rng(0)
    for _ in range(steps):
        obs = numbers.normal(size=policy.n_observations).astype(np.float32)
        yield obs, float(np.float32(numbers.uniform(0.2, 3.0)))


def distance(policy: Policy, step: Step, *, steps: int = 30) -> float:
    """Return the largest difference to a float64 replay, of actions and states, that each carries by itself."""
    replay, expected = Replay(policy), np.zeros(policy.n_state)
    state, largest = np.zeros((1, policy.n_state), np.float32), 0.0
    for obs, dt in trace(policy, steps):
        action, state = step(obs[None], state, np.array([dt], np.float32))
        right, expected = replay.step(obs, expected, dt)
        largest = max(largest, float(np.abs(action[0] - right).max()), float(np.abs(state[0] - expected).max()))
    return largest
