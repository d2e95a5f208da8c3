"""Episodes of the environment that a policy was trained in: steered by anything, or recorded for others to follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from velora.core.types import Array
from velora.envs import Environments
from velora.envs.clock import NOMINAL_DT
from velora.envs.make import Env
from velora.envs.spaces import observation_size
from velora.export.policy import Policy
from velora.export.replay import Replay
from velora.models.agent import Agent


class Controller(Protocol):
    """Anything that steers: it keeps its own state."""

    def act(self, obs: Array, dt: float, *, begins: bool) -> NDArray[Any]:
        """Choose an action.

        Shapes:
            obs: (O,) float32. returns: (A,), in the environment's units; a discrete one (1,), a whole number.

        Args:
            dt: time since the observation before, in control steps.
            begins: whether an episode begins.
        """
        ...


class Predicting:
    """``agent.predict`` as a controller.

    Attributes:
        state: (H,) after the last step.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.state: Any = None

    def act(self, obs: Array, dt: float, *, begins: bool) -> NDArray[Any]:
        """See :class:`Controller`."""
        action, self.state = self._agent.predict(obs.copy(), None if begins else self.state, dt=dt)
        return np.atleast_1d(action)


class Replaying:
    """The replay in NumPy, in float64, as a controller.

    Attributes:
        state: (H,) after the last step.
    """

    def __init__(self, policy: Policy) -> None:
        self._replay, self._n_state = Replay(policy), policy.n_state
        self.state = np.zeros(policy.n_state)

    def act(self, obs: Array, dt: float, *, begins: bool) -> NDArray[Any]:
        """See :class:`Controller`."""
        before = np.zeros(self._n_state) if begins else self.state
        action, self.state = self._replay.step(np.asarray(obs, np.float64), before, dt)
        return np.asarray(action)


@dataclass(frozen=True, slots=True)
class Trace:
    """Steps of episodes one after the other, as ``predict`` lived them.

    Shapes:
        obs: (T, O) float32. dt: (T,) float32. begins: (T,) bool, where an episode begins.
        actions: (T, A). states: (T, H) float32, after each step.
    """

    obs: Array
    dt: Array
    begins: NDArray[np.bool_]
    actions: NDArray[Any]
    states: Array

    def __len__(self) -> int:
        """Count the steps."""
        return len(self.obs)


def play(
    env: Env,
    controller: Controller,
    seeds: Sequence[int],
    *,
    max_steps: int,
    on_step: Callable[[], object] = lambda: None,
) -> list[float]:
    """Let a controller steer episodes, and return what each earns.

    Args:
        env: with flat observations, without the time among them.
        seeds: an episode for each.
        max_steps: an episode that is so long is cut.
        on_step: called after every action; if it returns True, that was the last one.
    """
    envs = Environments([env], obs_dim=observation_size(env))
    returns: list[float] = []
    for seed in seeds:
        step, dt, earned = envs.reset(0, seed=seed), NOMINAL_DT, 0.0
        for number in range(max_steps):
            action = controller.act(step.obs, dt, begins=number == 0)
            if on_step() is True:
                return returns
            step = envs.step(0, np.int64(action[0]) if action.dtype.kind in "iu" else action)
            earned, dt = earned + step.reward, step.dt
            if step.terminated or step.truncated:
                break
        returns.append(earned)
    return returns


class Recorder:
    """Another controller that steers, and a record of its first steps.

    Attributes:
        lengths: steps of every episode that has begun.
    """

    def __init__(self, controller: Predicting, n_steps: int) -> None:
        self._controller, self._n_steps = controller, n_steps
        self._rows: list[tuple[Array, float, bool, NDArray[Any], Array]] = []
        self.lengths: list[int] = []

    @property
    def is_full(self) -> bool:
        """Return whether as many steps as wanted are on record."""
        return len(self._rows) >= self._n_steps

    def act(self, obs: Array, dt: float, *, begins: bool) -> NDArray[Any]:
        """See :class:`Controller`."""
        action = self._controller.act(obs, dt, begins=begins)
        if begins:
            self.lengths.append(0)
        self.lengths[-1] += 1
        if not self.is_full:
            self._rows.append((obs.copy(), dt, begins, action.copy(), np.array(self._controller.state)))
        return action

    def trace(self) -> Trace:
        """Return the record."""
        obs, dt, begins, actions, states = zip(*self._rows, strict=True)
        times, firsts = np.array(dt, np.float32), np.array(begins, bool)
        return Trace(np.stack(obs), times, firsts, np.stack(actions), np.stack(states))


def follow(trace: Trace, policy: Policy) -> tuple[NDArray[Any], NDArray[Any]]:
    """Compute the actions (T, A) and states (T, H) of a trace in float64."""
    controller, actions, states = Replaying(policy), [], []
    for obs, dt, begins in zip(trace.obs, trace.dt, trace.begins, strict=True):
        actions.append(controller.act(obs, float(dt), begins=bool(begins)))
        states.append(controller.state)
    return np.stack(actions), np.stack(states)
