"""Every episode of an environment that comes with Gymnasium is decided by its reset seed, whatever was before it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from velora.envs import Environments, flattened
from velora.envs.renewal import renewal


def episode(envs: Environments, seed: int, n_steps: int) -> list[tuple[Any, ...]]:
    """Live an episode of random actions; return every answer."""
    space = envs.envs[0].action_space
    space.seed(seed)
    steps = [envs.reset(0, seed=seed)]
    while len(steps) <= n_steps and not (steps[-1].terminated or steps[-1].truncated):
        steps.append(envs.step(0, space.sample()))
    return [step[1:] for step in steps]


def made(env_id: str, **settings: Any) -> Environments:
    env = flattened(gym.make(env_id, **settings))
    return Environments([env], obs_dim=env.observation_space.shape[0])  # type: ignore[index]


@pytest.mark.parametrize(
    ("env_id", "n_steps"),
    [
        ("BipedalWalker-v3", 120), ("BipedalWalkerHardcore-v3", 60), ("LunarLander-v3", 80),
        ("LunarLanderContinuous-v3", 80), ("Hopper-v5", 40), ("InvertedPendulum-v5", 40), ("HalfCheetah-v5", 40),
        ("Pendulum-v1", 40), ("CartPole-v1", 40), ("Acrobot-v1", 40), ("MountainCarContinuous-v0", 40),
    ],
)  # fmt: skip
def test_an_episode_does_not_depend_on_those_before_it(env_id: str, n_steps: int) -> None:
    used = made(env_id)
    for seed in range(6):
        episode(used, 100 + seed, n_steps)
        assert episode(used, seed, n_steps) == episode(made(env_id), seed, n_steps)


@pytest.mark.slow
def test_an_episode_of_car_racing_does_not_either() -> None:
    used = made("CarRacing-v3")
    for seed in range(2):
        episode(used, 100 + seed, 30)
        assert episode(used, seed, 30) == episode(made("CarRacing-v3"), seed, 30)


def test_the_world_of_a_walker_is_new_in_every_episode_inside_of_wrappers_and_subclasses() -> None:
    from gymnasium.envs.box2d.bipedal_walker import BipedalWalker

    class Mine(BipedalWalker):
        pass

    for env in (gym.wrappers.TimeAwareObservation(gym.make("BipedalWalker-v3")), Mine()):
        shape = env.observation_space.shape
        assert shape is not None
        envs = Environments([env], obs_dim=shape[0])
        worlds = []
        for seed in range(3):
            envs.reset(0, seed=seed)
            worlds.append(env.unwrapped.world)  # type: ignore[attr-defined]
        assert len({id(world) for world in worlds}) == 3
        assert {tuple(world.gravity) for world in worlds} == {(0.0, -10.0)}


def test_other_environments_need_nothing() -> None:
    assert renewal(gym.make("LunarLander-v3")) is None
    assert renewal(gym.make("Pendulum-v1")) is None


def test_walkers_are_still_not_decided_by_their_seed_without_that() -> None:
    """If this fails, Gymnasium has mended them, and :mod:`velora.envs.renewal` can go."""
    env, differs = gym.make("BipedalWalker-v3"), False
    for seed in range(8):
        answers = []
        for one in (env, gym.make("BipedalWalker-v3")):
            one.action_space.seed(seed)
            one.reset(seed=seed)
            answers.append(np.stack([one.step(one.action_space.sample())[0] for _ in range(60)]))
        differs = differs or not np.array_equal(answers[0], answers[1])
    assert differs
