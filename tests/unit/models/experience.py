"""Made-up experience, and updates that learn from it."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from velora.models import Agent


def fill(agent: Agent, seed_index: int, generator: np.random.Generator, n: int) -> None:
    """Store n transitions of three numbers and two actions, in episodes of nine steps."""
    for i in range(n):
        agent.buffer.add(
            seed_index, obs=generator.normal(size=3), action=generator.uniform(-1, 1, 2), reward=generator.normal(),
            next_obs=generator.normal(size=3), terminated=i % 9 == 8, truncated=False, dt=1.0, next_dt=1.0,
            start=i % 9 == 0, hidden=generator.normal(size=agent.state_size) * 0.1,
        )  # fmt: skip


def learn(agent: Agent, rows: tuple[int, ...] = (0, 1, 2)) -> dict[str, Tensor]:
    """Make one update of these seeds from a batch of 16, and count it."""
    agent.experience.begin(16, rows)
    metrics = agent.experience.finish(agent.progress[rows[0]].update, lambda rows, metrics: count(agent, rows))
    return {name: value.clone() for name, value in metrics.items()}


def count(agent: Agent, rows: tuple[int, ...]) -> None:
    """Count an update of these seeds."""
    for k in rows:
        agent.progress[k].update += 1


def parameters(agent: Agent, net: str) -> dict[str, Tensor]:
    """Copy the parameters of a network."""
    return {name: p.detach().clone() for name, p in agent.networks[net].named_parameters()}
