"""Train an agent of Stable-Baselines3 or sb3-contrib and evaluate it on the way, as ours are."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.noise import ActionNoise, NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.vec_env import DummyVecEnv

from benchmarks.peers.protocol import Answer, Settings, serve
from velora.envs.wrappers import wrap  # of this checkout, so that peers meet the same tasks: see benchmarks.speed.jobs


class _Evaluate(BaseCallback):
    """Play episodes from fixed reset seeds, without noise, on a grid of steps."""

    def __init__(self, env: gym.Env[Any, Any], reset_seeds: Sequence[int], every: int) -> None:
        super().__init__()
        self._env, self._reset_seeds, self._every = env, reset_seeds, every
        self.curve: list[tuple[int, float]] = []

    def _on_step(self) -> bool:
        if self.num_timesteps // self._every > len(self.curve):
            score = mean_return(self.model, self._env, self._reset_seeds)
            self.curve.append((self._every * (len(self.curve) + 1), score))
        return True


def mean_return(model: BaseAlgorithm, env: gym.Env[Any, Any], reset_seeds: Sequence[int]) -> float:
    """Play one episode from each reset seed, without noise."""
    total = 0.0
    for seed in reset_seeds:
        obs, _ = env.reset(seed=seed)
        state, start, ended = None, np.ones(1, bool), False
        while not ended:
            action, state = model.predict(obs, state=state, episode_start=start, deterministic=True)
            obs, reward, terminated, truncated, _ = env.step(action)
            total += float(reward)
            ended, start = terminated or truncated, np.zeros(1, bool)
    return total / len(reset_seeds)


def _noise(env: DummyVecEnv, std: float, correlation: float) -> ActionNoise:
    """Make noise of a deviation and a correlation from step to step, in SB3's own terms."""
    n = env.action_space.shape[0]
    if not correlation:
        return NormalActionNoise(np.zeros(n), np.full(n, std))
    sigma = np.full(n, std * (1 - correlation**2) ** 0.5)
    return OrnsteinUhlenbeckActionNoise(np.zeros(n), sigma, theta=1 - correlation, dt=1.0)


def _falling(start: float) -> Callable[[float], float]:
    """Make a schedule of SB3's: in a straight line from here to zero, by the share of the run that is left."""
    return lambda left: left * start


def learn(settings: Settings) -> Answer:
    """Train one seed; return its evaluations and what it earns in the tests.

    Of an arm's settings ``n_envs`` is how many environments it acts in, and ``falling`` names values that fall to zero;
    the others are its constructor's.
    """

    def environment(wrappers: Sequence[Mapping[str, Any]]) -> gym.Env[Any, Any]:
        return wrap(gym.make(settings["env"]), wrappers)

    own = dict(settings["settings"])
    env = DummyVecEnv([partial(environment, settings["wrappers"])] * own.pop("n_envs", 1))
    if "action_noise" in own:
        own["action_noise"] = _noise(env, own["action_noise"], own.pop("noise_correlation", 0.0))
    own |= {name: _falling(start) for name, start in own.pop("falling", {}).items()}
    policy = own.pop("policy", "MlpPolicy")
    algorithm = getattr(importlib.import_module(settings["library"]), settings["algorithm"])
    model = algorithm(policy, env, seed=settings["seed"], device="cpu", **own)
    watch = _Evaluate(environment(settings["wrappers"]), settings["reset_seeds"], settings["evaluate_steps"])
    model.learn(settings["n_steps"], callback=watch)
    tests = [
        (name, mean_return(model, environment(wrappers), settings["test_seeds"]))
        for name, wrappers in settings["tests"]
    ]
    return {"curve": watch.curve, "tests": tests}


if __name__ == "__main__":
    serve({"learn": learn})
