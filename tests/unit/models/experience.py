"""Made-up experience, and updates that learn from it."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from velora.models import OffPolicyAgent


def fill(agent: OffPolicyAgent, seed_index: int, generator: np.random.Generator, n: int) -> None:
    """Store n transitions of three numbers and two actions, in episodes of nine steps."""
    for i in range(n):
        agent.buffer.add(
            seed_index, obs=generator.normal(size=3), action=generator.uniform(-1, 1, 2), reward=generator.normal(),
            next_obs=generator.normal(size=3), terminated=i % 9 == 8, truncated=False, dt=1.0, next_dt=1.0,
            start=i % 9 == 0, hidden=generator.normal(size=agent.state_size) * 0.1,
        )  # fmt: skip


def learn(agent: OffPolicyAgent, rows: tuple[int, ...] = (0, 1, 2)) -> dict[str, Tensor]:
    """Make one update of these seeds from a batch of 16, and count it."""
    agent.begin_learning(16, rows)
    metrics = agent.finish_learning(16, agent.progress[rows[0]].update)
    for k in rows:
        agent.progress[k].update += 1
    return {name: value.clone() for name, value in metrics.items()}


def parameters(agent: OffPolicyAgent, net: str) -> dict[str, Tensor]:
    """Copy the parameters of a network."""
    return {name: p.detach().clone() for name, p in agent.networks[net].named_parameters()}
