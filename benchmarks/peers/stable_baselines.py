"""Measure the DDPG of Stable-Baselines3, or of SBX: the same in JAX."""

from __future__ import annotations

import importlib
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.noise import NormalActionNoise

from benchmarks.peers.protocol import Answer, Clock, EnoughError, Referee, Settings, serve, time_checkpoints

FOREVER = 100_000_000
BUFFER_SIZE = 100_000
UNITS = [64, 64]
NOISE_STD = 0.1
LEARNING_RATE = 1e-3
"""Stable-Baselines3's own; SBX's own of 3e-4 for the actor takes longer to solve row 2."""


def _ddpg(settings: Settings) -> Any:
    """Import only the library that is measured, since its memory is too."""
    return importlib.import_module(settings["library"]).DDPG


def _make(settings: Settings, env: gym.Env, **more: Any) -> Any:
    """Make a DDPG of one library with networks of two layers of 64, one update per step."""
    assert env.action_space.shape is not None
    n_actions = env.action_space.shape[0]
    return _ddpg(settings)(
        "MlpPolicy",
        env,
        buffer_size=BUFFER_SIZE,
        batch_size=settings["batch_size"],
        learning_rate=LEARNING_RATE,
        train_freq=1,
        gradient_steps=1,
        action_noise=NormalActionNoise(np.zeros(n_actions), np.full(n_actions, NOISE_STD)),
        policy_kwargs={"net_arch": UNITS},
        device="cpu",
        **more,
    )


def _learn(model: Any) -> None:
    try:
        model.learn(FOREVER)
    except EnoughError:
        return
    raise RuntimeError("the library stopped by itself")


def train(settings: Settings) -> Answer:
    """Row 1."""
    env = Clock(gym.make(settings["env"]), skip=settings["skip"], seconds=settings["seconds"])
    _learn(_make(settings, env))
    return env.answer()


def solve(settings: Settings) -> Answer:
    """Row 2."""
    env = Referee(
        gym.make(settings["env"]),
        started=settings["started"],
        target=settings["target"],
        limit_s=settings["limit_s"],
    )
    _learn(_make(settings, env, seed=settings["seed"]))
    return env.answer()


def checkpoint(settings: Settings) -> Answer:
    """Row 6: an agent that has learned, with a buffer that is full."""
    model = _make(settings, Clock(gym.make(settings["env"]), skip=200, seconds=0.5))
    _learn(model)
    buffer = model.replay_buffer
    for rows in (buffer.observations, buffer.next_observations):
        rows[:] = np.random.default_rng(0).standard_normal(rows.shape)
    buffer.full = True

    def save(place: Any, with_buffer: bool) -> None:
        model.save(place)
        if with_buffer:
            model.save_replay_buffer(place.with_name("buffer"))

    def load(place: Any, with_buffer: bool) -> None:
        loaded = _ddpg(settings).load(place)
        if with_buffer:
            loaded.load_replay_buffer(place.with_name("buffer"))

    return time_checkpoints(save, load, repeats=settings["repeats"])


if __name__ == "__main__":
    serve({"train": train, "solve": solve, "checkpoint": checkpoint})
