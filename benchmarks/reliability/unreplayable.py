"""Environments that their reset seed doesn't decide: a resume in them may differ, but never without a word."""

from __future__ import annotations

import itertools
import logging
import os
import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.reliability import forked
from benchmarks.reliability.exact import Cut, Listener, judge, resume
from benchmarks.reliability.subject import scratch
from benchmarks.reliability.tally import Job
from benchmarks.reliability.training import REPLAY, TASKS, Training, everything

Env = gym.Env[Any, Any]


class _Wrapper(gym.Wrapper[Any, Any, Any, Any]):
    """Change what an environment says; a subclass overrides one thing."""

    def start(self) -> None:
        """Begin an episode."""

    def see(self, obs: Any) -> Any:
        """Change an observation."""
        return obs

    def give(self, reward: Any) -> Any:
        """Change a reward."""
        return reward

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        """Reset, and show what this wrapper shows."""
        self.start()
        obs, info = self.env.reset(seed=seed, options=options)
        return self.see(obs), info

    def step(self, action: Any) -> Any:
        """Step, and show what this wrapper shows."""
        obs, reward, *rest = self.env.step(action)
        return self.see(obs), self.give(reward), *rest


class NoisyObservation(_Wrapper):
    """Sensor noise from a generator of its own."""

    def see(self, obs: Any) -> Any:
        return np.asarray(obs + np.random.default_rng().normal(0, 1e-3, obs.shape), dtype=np.float32)


class NoisyReward(_Wrapper):
    """Noise in the reward alone."""

    def give(self, reward: Any) -> Any:
        return float(reward) + np.random.default_rng().normal()


class GlobalRandomness(_Wrapper):
    """Noise from NumPy's global generator."""

    def see(self, obs: Any) -> Any:
        return np.asarray(obs + np.random.normal(0, 1e-3, obs.shape), dtype=np.float32)  # noqa: NPY002 - as users do


class RandomDomain(_Wrapper):
    """Sensors that are scaled anew in every episode, by chance (domain randomisation)."""

    scale = 1.0

    def start(self) -> None:
        self.scale = float(np.random.default_rng().uniform(0.9, 1.1))

    def see(self, obs: Any) -> Any:
        return np.asarray(obs * self.scale, dtype=np.float32)


class RandomObject(_Wrapper):
    """Sensors that are scaled once, when the object is made."""

    def __init__(self, env: Env) -> None:
        super().__init__(env)
        self.scale = float(np.random.default_rng().uniform(0.9, 1.1))

    def see(self, obs: Any) -> Any:
        return np.asarray(obs * self.scale, dtype=np.float32)


class UnseededReset(_Wrapper):
    """A reset that ignores its seed."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return super().reset(seed=int.from_bytes(os.urandom(3)), options=options)


class Wear(_Wrapper):
    """Sensors that drift with every step that the object has lived, over resets (object history)."""

    lived = 0

    def see(self, obs: Any) -> Any:
        self.lived += 1
        return np.asarray(obs * (1.0 + 1e-4 * self.lived), dtype=np.float32)


class Clock(_Wrapper):
    """An observation that the clock is in."""

    def see(self, obs: Any) -> Any:
        return np.asarray(obs + 1e-3 * np.sin(time.perf_counter()), dtype=np.float32)


class RandomLength(_Wrapper):
    """An episode that ends by chance."""

    def step(self, action: Any) -> Any:
        obs, reward, terminated, truncated, info = self.env.step(action)
        return obs, reward, terminated or np.random.default_rng().random() < 0.1, truncated, info


class LateNoise(_Wrapper):
    """Noise from the fifth step of an episode on, which the first observations don't show."""

    steps = 0

    def start(self) -> None:
        self.steps = 0

    def see(self, obs: Any) -> Any:
        self.steps += 1
        noise = np.random.default_rng().normal(0, 1e-3, obs.shape) if self.steps > 5 else 0.0
        return np.asarray(obs + noise, dtype=np.float32)


WRAPPERS: dict[str, Callable[[Env], Env]] = {
    "noise in observations": NoisyObservation,
    "noise in rewards": NoisyReward,
    "NumPy's global generator": GlobalRandomness,
    "domain randomisation by episode": RandomDomain,
    "domain randomisation by object": RandomObject,
    "a reset that ignores its seed": UnseededReset,
    "sensors that drift over resets": Wear,
    "the clock": Clock,
    "episodes that end by chance": RandomLength,
    "noise from the fifth step on": LateNoise,
    "gymnasium.wrappers.NormalizeObservation": lambda env: gym.wrappers.NormalizeObservation(env),
    "gymnasium.wrappers.NormalizeReward": lambda env: gym.wrappers.NormalizeReward(env),
}
LATE = {"episodes that end by chance": 10**6, "noise from the fifth step on": 4}
"""Chance that shows late: the longest unfinished episode that, lived again without a difference, proves nothing."""
PLACES = ("Pendulum", "InvertedPendulum", "CartPole")


def run(job: Job) -> None:
    """Cut runs in such environments in the middle of episodes and between them."""
    cases = job.some(list(itertools.product(WRAPPERS.items(), PLACES)), quick=5)
    for (name, wrap), place in job.each(cases):
        task = TASKS[place]
        agent = "LiquidSAC" if task.discrete else "LiquidTD3"
        training = Training(agent, task, n_steps=60, settings=REPLAY, saving={"frequency": 3})
        generator = job.random("unreplayable", name, place)
        cuts = sorted(generator.sample(range(2, 59), 2 if job.quick else 6))
        _check(job, f"{name}, on {place}", training, lambda: wrap(task()), cuts)  # noqa: B023 - used at once


def _check(job: Job, name: str, training: Training, env: Callable[[], Env], cuts: list[int]) -> None:
    with scratch() as place:

        def whole() -> tuple[dict[str, Any], list[str]]:
            listener = _Any()
            logging.getLogger("velora").addHandler(listener)
            training.go(place / "whole", Cut(place, cuts), env=env)
            return everything(place / "whole"), listener.said

        ending = forked.run(whole)
        if not ending.is_fine:
            job.tally.bad("the undisturbed run fails", f"{name}: {ending}")
            return
        for cut in cuts:
            length = int((place / f"cut {cut}" / "length").read_text())
            judge(
                job,
                ending.answer[0],
                resume(training, place, cut, env=env),
                f"{name}, cut after step {cut}",
                refusal="refuses to go on",
                is_hidden=any(name.startswith(late) and length <= most for late, most in LATE.items()),
            )


class _Any(Listener):
    """Keep every warning."""

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())
