"""Train an agent of Stable-Baselines3 or sb3-contrib and evaluate it on the way, as ours are."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.noise import NormalActionNoise

from benchmarks.peers.protocol import Answer, Settings, serve


class _Evaluate(BaseCallback):
    """Play episodes from fixed reset seeds, without noise, on a grid of steps."""

    def __init__(self, env: gym.Env[Any, Any], reset_seeds: Sequence[int], every: int) -> None:
        super().__init__()
        self._env, self._reset_seeds, self._every = env, reset_seeds, every
        self.curve: list[tuple[int, float]] = []

    def _on_step(self) -> bool:
        if self.num_timesteps // self._every > len(self.curve):
            self.curve.append((self._every * (len(self.curve) + 1), self._mean_return()))
        return True

    def _mean_return(self) -> float:
        total = 0.0
        for seed in self._reset_seeds:
            obs, _ = self._env.reset(seed=seed)
            state, start, ended = None, np.ones(1, bool), False
            while not ended:
                action, state = self.model.predict(obs, state=state, episode_start=start, deterministic=True)
                obs, reward, terminated, truncated, _ = self._env.step(action)
                total += float(reward)
                ended, start = terminated or truncated, np.zeros(1, bool)
        return total / len(self._reset_seeds)


def learn(settings: Settings) -> Answer:
    """Train one seed; return its evaluations."""
    env, own = gym.make(settings["env"]), dict(settings["settings"])
    if "action_noise" in own:
        n = env.action_space.shape[0]  # type: ignore[index]
        own["action_noise"] = NormalActionNoise(np.zeros(n), np.full(n, own["action_noise"]))
    policy = own.pop("policy", "MlpPolicy")
    algorithm = getattr(importlib.import_module(settings["library"]), settings["algorithm"])
    model = algorithm(policy, env, seed=settings["seed"], device="cpu", **own)
    watch = _Evaluate(gym.make(settings["env"]), settings["reset_seeds"], settings["evaluate_steps"])
    model.learn(settings["n_steps"], callback=watch)
    return {"curve": watch.curve}


if __name__ == "__main__":
    serve({"learn": learn})
