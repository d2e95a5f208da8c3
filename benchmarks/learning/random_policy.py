"""Measure what a policy of random actions earns: the column ``random`` of ``velora/analysis/comparison/scores.csv``.

``python -m benchmarks.learning.random_policy Pendulum-v1 Hopper-v5`` prints a line for each environment.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import gymnasium as gym
import numpy as np

N_EPISODES = 100


def random_return(environment: str, *, n_episodes: int = N_EPISODES) -> float:
    """Return the mean return of episodes with actions drawn uniformly; resets and actions are seeded."""
    env = gym.make(environment)
    env.action_space.seed(0)
    returns = []
    for episode in range(n_episodes):
        env.reset(seed=episode)
        total, is_over = 0.0, False
        while not is_over:
            _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            total, is_over = total + float(reward), terminated or truncated
        returns.append(total)
    env.close()
    return float(np.mean(returns))


def main(environments: Sequence[str]) -> None:
    """Print a line for each environment."""
    for environment in environments:
        print(f"{environment},{random_return(environment):.1f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
