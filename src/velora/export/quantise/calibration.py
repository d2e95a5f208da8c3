"""Episodes of a policy's environment, by which it is calibrated: what its layers read, and how far that reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.core import seeding
from velora.core.errors import ExportError
from velora.envs import Environments
from velora.envs.actions import ActionBounds, DiscreteActions
from velora.envs.clock import NOMINAL_DT
from velora.export.policy import Policy
from velora.export.replay import Replay

Doubles = NDArray[np.float64]

EPISODES = 10
"""Episodes of a calibration by default."""
MOST_STEPS = 1000
"""Steps after which an episode of calibration is cut."""
CALIBRATION = 3
"""Coordinate of reset seeds that is neither that of training nor those of evaluation."""
NOISE = 0.3
"""Noise on the actions of every second episode, uniform: at most this part of half their range. Of discrete actions
this part is drawn."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Episodes that were lived, one after another.

    Shapes:
        obs: (T, n_observations) float32. dt: (T,) float32, in control steps. starts: (T,), where an episode begins.
        states: (T, n_state), after the step. outs: (T, n_out), before an action is chosen.
        reads: of each layer with heads (T, n_in + n), or (T, n_in) where it has no state; ``None`` of others.
        actions: (T, n_actions), as the policy chose them, in the environment's units.
    """

    obs: NDArray[np.float32]
    dt: NDArray[np.float32]
    starts: NDArray[np.bool_]
    states: Doubles
    outs: Doubles
    reads: tuple[Doubles | None, ...]
    actions: Doubles

    def __len__(self) -> int:
        """Count the steps."""
        return len(self.obs)

    @property
    def episodes(self) -> Iterator[slice]:
        """The places of the episodes."""
        begins = np.flatnonzero(self.starts)
        return (slice(a, b) for a, b in zip(begins, [*begins[1:], len(self)], strict=True))


def calibration_seeds(seed: int, episodes: int) -> list[int]:
    """List the reset seeds of a calibration, none of which are those of training or evaluation."""
    return [seeding.episode_seed(seed, CALIBRATION, number) for number in range(1, episodes + 1)]


def live(
    policy: Policy,
    envs: Environments,
    reset_seeds: Sequence[int],
    *,
    noise: float = NOISE,
    seed: int = 0,
    on_episode: Callable[[], None] = lambda: None,
) -> Trace:
    """Let the policy act in float64, in the first of ``envs``, and keep what it read.

    Args:
        noise: on the actions of every second episode, so that the ranges are wide; see :data:`NOISE`.
        seed: of the noise.
        on_episode: called after every episode.

    Raises:
        ExportError: if there are no steps.
    """
    keeper = _Keeper(policy)
    numbers = np.random.default_rng(seed)
    for number, reset_seed in enumerate(reset_seeds):
        envs.reset(0, seed=reset_seed)
        state, dt = np.zeros(policy.n_state), NOMINAL_DT
        for step in range(MOST_STEPS):
            action, state = keeper.step(envs.obs[0], state, dt, starts=step == 0)
            given = _disturbed(policy, action, numbers, noise) if number % 2 else action
            answer = envs.step(0, np.int64(given[0]) if policy.is_discrete else given.astype(np.float32))
            dt = answer.dt
            if answer.terminated or answer.truncated:
                break
        on_episode()
    return keeper.trace()


def replayed(policy: Policy, obs: NDArray[np.float32], dt: NDArray[np.float32], starts: NDArray[np.bool_]) -> Trace:
    """Let the policy act in float64 on observations that are known.

    Shapes:
        obs: (T, n_observations). dt, starts: (T,); the first step begins an episode.
    """
    keeper = _Keeper(policy)
    state = np.zeros(policy.n_state)
    for one, time, begins in zip(obs, dt, starts, strict=True):
        state = np.zeros(policy.n_state) if begins else state
        _, state = keeper.step(one, state, float(time), starts=bool(begins))
    return keeper.trace()


def _disturbed(policy: Policy, action: Doubles, numbers: np.random.Generator, noise: float) -> Doubles:
    units = policy.units
    if isinstance(units, DiscreteActions):
        drawn, chosen = numbers.random(), numbers.integers(units.n) + units.first
        return np.array([chosen]) if drawn < noise else action
    assert isinstance(units, ActionBounds)
    low, high, half = units.arrays
    return np.asarray(np.clip(action + noise * half * numbers.uniform(-1.0, 1.0, action.shape), low, high))


class _Keeper:
    """A policy in float64 that keeps what it meets."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._rows: list[tuple[Any, ...]] = []
        self._reads: list[list[Doubles]] = [[] for _ in policy.layers]
        self._replay = Replay(policy, watch=lambda number, read: self._reads[number].append(read.copy()))

    def step(self, obs: NDArray[np.float32], state: Doubles, dt: float, *, starts: bool) -> tuple[Doubles, Doubles]:
        own = obs[: self._policy.n_observations].copy()
        told = np.float32(dt)
        out, state = self._replay.network(self._replay.inputs(own, float(told)), state, float(told))
        action = self._replay.action(out)
        self._rows.append((own, told, starts, state, out, action))
        return action, state

    def trace(self) -> Trace:
        if not self._rows:
            raise ExportError("calibration: there is no step to calibrate with; expected at least 1 episode")
        obs, dt, starts, states, outs, actions = (np.array(column) for column in zip(*self._rows, strict=True))
        reads = tuple(np.array(rows) if rows else None for rows in self._reads)
        return Trace(obs, dt, starts, states, outs, reads, actions)
