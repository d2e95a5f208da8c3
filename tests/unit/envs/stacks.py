"""Environments and wrappers of users, as tests make them again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control import PendulumEnv

from velora.envs import EnvironmentSource, layers
from velora.envs.wrappers import HoldAction


class Filmed(gym.wrappers.RecordVideo[Any, Any]):
    """A RecordVideo without moviepy, which this machine may not have."""

    def __init__(self, env: Any, folder: str) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, folder=folder)
        gym.Wrapper.__init__(self, env)
        self.episode_trigger, self.step_trigger = (lambda _: True), None
        self.films: list[int] = []

    def reset(self, **settings: Any) -> Any:
        if self.episode_trigger is not None and self.episode_trigger(0):
            self.films.append(1)
        return self.env.reset(**settings)

    def step(self, action: Any) -> Any:
        return self.env.step(action)

    def close(self) -> None:
        self.env.close()


class Table(PendulumEnv):
    """A pendulum with arguments of any kind."""

    def __init__(self, table: Any = None, options: Any = None, render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode)
        self.table, self.options = table, options


class Scaled(gym.RewardWrapper[Any, Any], gym.utils.RecordConstructorArgs):
    """A user's wrapper that tells its arguments."""

    def __init__(self, env: Any, scale: float, lookup: Any = None) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, scale=scale, lookup=lookup)
        super().__init__(env)
        self.scale, self.lookup = scale, lookup

    def reward(self, reward: Any) -> Any:
        return reward * self.scale


class Untold(gym.RewardWrapper[Any, Any]):
    """A user's wrapper that doesn't."""

    def reward(self, reward: Any) -> Any:
        return -reward


class HalfTold(gym.wrappers.TransformReward[Any, Any]):
    """One whose base class tells arguments that its own constructor doesn't take."""

    def __init__(self, env: Any, scale: float = 2.0) -> None:
        super().__init__(env, lambda reward: scale * float(reward))


class Misled(gym.wrappers.TransformReward[Any, Any]):
    """One whose base class tells an argument of the same name, but another one."""

    def __init__(self, env: Any, func: Any = abs) -> None:
        super().__init__(env, lambda reward: -func(reward))


gym.register("velora_tests/Table-v0", lambda **kw: Table(**kw), max_episode_steps=20)
gym.register("velora_tests/Wrapped-v0", lambda **kw: Untold(Table(**kw)), max_episode_steps=20)
gym.register("velora_tests/Nested-v0", lambda **_: Untold(gym.make("Pendulum-v1", max_episode_steps=30)))
gym.register("velora_tests/Free-v0", lambda **_: Untold(Table()), order_enforce=False, disable_env_checker=True)


def stack(env: Any) -> list[str]:
    return [type(layer).__name__ for layer in layers.layers(env) if type(layer) is not gym.wrappers.PassiveEnvChecker]


def again(env: Any) -> Any:
    source = EnvironmentSource(env)
    source.first()
    return source.make()


def life(env: Any, steps: int = 80) -> list[Any]:
    """Live an episode, and return all that was seen."""
    obs, _ = env.reset(seed=3)
    seen = [np.asarray(obs).tolist()]
    for number in range(steps):
        obs, reward, terminated, truncated, _ = env.step(np.array([np.sin(number)], np.float32))
        seen.append([np.asarray(obs).tolist(), float(reward), terminated, truncated])
        if terminated or truncated:
            break
    return seen


MAKES: dict[str, Callable[[], Any]] = {
    "as it is": lambda: gym.make("Pendulum-v1"),
    "keywords": lambda: gym.make("Pendulum-v1", g=3.0),
    "a time limit": lambda: gym.make("Pendulum-v1", max_episode_steps=7),
    "no time limit": lambda: gym.make("Pendulum-v1", max_episode_steps=-1),
    "a time limit outside": lambda: gym.wrappers.TimeLimit(HoldAction(gym.make("Pendulum-v1"), [4]), 9),
    "two time limits": lambda: gym.wrappers.TimeLimit(gym.make("Pendulum-v1", max_episode_steps=30), 11),
    "a function": lambda: gym.wrappers.TransformReward(gym.make("Pendulum-v1"), lambda reward: -float(reward)),
    "arrays": lambda: gym.wrappers.RescaleAction(
        gym.make("Pendulum-v1"), np.array([-0.5], np.float32), np.array([0.5], np.float32)
    ),
    "a user's": lambda: Scaled(gym.make("Pendulum-v1"), 3.0),
    "order": lambda: Scaled(gym.wrappers.ClipReward(Scaled(gym.make("Pendulum-v1"), 0.1), -1.0, 0.0), 5.0),
    "wrapped by its entry point": lambda: Scaled(gym.make("velora_tests/Wrapped-v0"), 2.0),
    "made by its entry point": lambda: Scaled(gym.make("velora_tests/Nested-v0"), 2.0),
    "no order enforced": lambda: Scaled(gym.make("velora_tests/Free-v0"), 2.0),
    "order enforced by hand": lambda: gym.wrappers.OrderEnforcing(Scaled(gym.make("Pendulum-v1"), 2.0)),
}
