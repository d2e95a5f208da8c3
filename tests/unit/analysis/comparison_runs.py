"""Runs to compare: two agents on two environments, with numbers that are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.unit.analysis.run_directories import make_run

AGENTS = ("liquid_ddpg", "liquid_td3")
ENVIRONMENTS = ("InvertedPendulum-v5", "Pendulum-v1")
N_EPISODES = 30


def make_sweep(
    root: Path,
    *,
    agents: Sequence[str] = AGENTS,
    environments: Sequence[str] = ENVIRONMENTS,
    values: Sequence[float] = (0.001, 0.0003),
    n_seeds: int = 3,
) -> Path:
    """Write a run for every combination; TD3 ends 40 above DDPG, and seeds end 10 apart."""
    for agent in agents:
        for environment in environments:
            for v, value in enumerate(values):
                ends = (400.0, -200.0)[environments.index(environment)] + 40 * agents.index(agent) + 3 * v
                make_run(
                    root / f"{agent}_{environment}_{value}",
                    agent=agent,
                    environment=environment,
                    settings={"actor_lr": value, "n_neurons": 20},
                    n_episodes=N_EPISODES,
                    by_seed={seed: returns(ends + 10 * seed) for seed in range(n_seeds)},
                )
    return root


def returns(end: float) -> list[float]:
    """Return what episodes earn: rising along the first two thirds, then constant."""
    return [end - 300 * max(0.0, 1 - n / (2 * N_EPISODES / 3)) for n in range(1, N_EPISODES + 1)]
