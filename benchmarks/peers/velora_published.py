"""Measure velora 0.1.1, as its registry page has it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import torch

from benchmarks.peers.protocol import Answer, Clock, EnoughError, Referee, Settings, serve, time_checkpoints
from velora.models import LiquidDDPG

FOREVER = 10_000_000
BUFFER_SIZE = 100_000


def _agent(env: gym.Env, n: int) -> Any:
    observations, actions = env.observation_space.shape, env.action_space.shape
    assert observations is not None
    assert actions is not None
    return LiquidDDPG(observations[0], n, actions[0], buffer_size=BUFFER_SIZE)


def _train(env: gym.Env, n: int, batch_size: int) -> Any:
    agent = _agent(env, n)
    try:
        agent.train(env, batch_size, n_episodes=FOREVER)
    except EnoughError:
        return agent
    raise RuntimeError("velora 0.1.1 stopped by itself")


def train(settings: Settings) -> Answer:
    """Row 1: one update per step, which is all it does."""
    env = Clock(gym.make(settings["env"]), skip=settings["skip"], seconds=settings["seconds"])
    _train(env, settings["n"], settings["batch_size"])
    return env.answer()


def solve(settings: Settings) -> Answer:
    """Row 2, with its defaults."""
    torch.manual_seed(settings["seed"])
    env = Referee(
        gym.make(settings["env"]),
        started=settings["started"],
        target=settings["target"],
        limit_s=settings["limit_s"],
    )
    _train(env, settings["n"], 128)
    return env.answer()


def checkpoint(settings: Settings) -> Answer:
    """Row 6: an agent that has learned, with a buffer that is full."""
    agent = _train(Clock(gym.make(settings["env"]), skip=10, seconds=0.5), settings["n"], 128)
    agent.buffer.states.normal_()
    agent.buffer.next_states.normal_()
    agent.buffer.size = BUFFER_SIZE
    return time_checkpoints(
        lambda place, with_buffer: agent.save(place, buffer=with_buffer),
        lambda place, with_buffer: LiquidDDPG.load(place, buffer=with_buffer),
        repeats=settings["repeats"],
    )


if __name__ == "__main__":
    serve({"train": train, "solve": solve, "checkpoint": checkpoint})
