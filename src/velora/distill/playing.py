"""A teacher by itself in an environment: what it earns, and how far its actions reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from velora.distill.supervisor import normalised
from velora.distill.teacher import Teacher
from velora.envs import ActionBounds, DiscreteActions
from velora.envs.clock import Clock

Env = gym.Env[Any, Any]


class Played(NamedTuple):
    """Episodes of a teacher.

    Attributes:
        returns: undiscounted, of each episode.
        largest: size of the largest number that it answered.
    """

    returns: list[float]
    largest: float


def play(teacher: Teacher, env: Env, reset_seeds: Sequence[int], *, max_steps: int) -> Played:
    """Play one episode from each reset seed, as the teacher says.

    Args:
        env: of flat observations, as the teacher sees it.
        max_steps: steps after which an episode is cut, if the environment sets no end.

    Raises:
        NonFiniteError: if the teacher answers NaN or infinity.
        TeacherError: if it answers what is no action.
    """
    returns, largest, units, clock = [], 0.0, _units(env), Clock(env, 0)
    for seed in reset_seeds:
        obs, info = env.reset(seed=seed)
        clock.start(info)
        state, dt, total = np.zeros(teacher.state_size, np.float32), 1.0, 0.0
        for _step in range(max_steps):
            said, state = teacher.answer(np.asarray(obs, np.float32), state, dt)
            largest = max(largest, float(np.abs(said).max()))
            action = normalised(said, units) if teacher.actions == "units" else said.clip(-1.0, 1.0)
            obs, reward, terminated, truncated, info = env.step(units.to_environment(action))
            dt = clock.elapsed(info) or 1.0
            total += float(reward)
            if terminated or truncated:
                break
        returns.append(total)
    return Played(returns, largest)


def _units(env: Env) -> ActionBounds | DiscreteActions:
    acted = env.action_space
    if isinstance(acted, gym.spaces.Discrete):
        return DiscreteActions(int(acted.n), int(acted.start))
    assert isinstance(acted, gym.spaces.Box)
    return ActionBounds(tuple(acted.low.ravel().tolist()), tuple(acted.high.ravel().tolist()))
