"""Delays: actions that take effect late, observations that arrive late."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np

from velora.core.errors import SettingError, SpaceError
from velora.envs.wrappers.parts import chance
from velora.envs.wrappers.registry import register

MOST_STEPS = 10_000


@register("delay", place=45, each=True)
class Delay(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Let actions take effect, and observations arrive, some steps late, as on real hardware.

    With a delay of d, the action of step t takes effect at step t + d, and lasts until a newer one has arrived; what is
    observed after step t is seen after step t + d. Before any action has arrived there is a neutral one: zeros, clipped
    into the box, or the first of discrete actions. Before another observation has arrived, that of the reset is seen.
    Under random delays the newest that has arrived counts: what is overtaken on its way is dropped.

    Reward, ``terminated``, ``truncated`` and ``info``, with the time in it, are those of the step and are not late. An
    episode ends with the newest observation that has arrived. The spaces stay as they are.

    A step is one of the wrapped environment. Around :class:`HoldAction`, as on the command line, that is one of the
    agent's, however long the action is held. Noise and failures inside are drawn once for each observation. An agent
    that remembers its last actions (:class:`PreviousActionReward` around this wrapper) can bear a delay best.

    Args:
        env: the environment, with a box of actions, or discrete ones.
        actions: steps until an action takes effect: a number, or ``[least, most]``, drawn uniformly for every action.
        observations: steps until an observation is seen: a number, or ``[least, most]`` as well.

    Raises:
        SettingError: if a delay is anything but a whole number from 0 to 10,000, or two of them, the smaller first.
        SpaceError: if the actions are neither a box nor discrete.

    Example:
        >>> env = Delay(gym.make("Pendulum-v1"), actions=2)
        >>> _ = env.reset(seed=0)
        >>> sent = [np.array([torque], np.float32) for torque in (1.0, -1.0, 0.5, 0.5)]
        >>> [(env.step(action), float(env.unwrapped.last_u))[1] for action in sent]
        [0.0, 0.0, 1.0, -1.0]

    Source:
        Katsikopoulos & Engelbrecht 2003 (IEEE Transactions on Automatic Control 48(4)): with constant delays the last
        observation and the actions since then make the task a Markov decision process again. Bouteiller et al. 2021
        (arXiv 2010.02966): random delays, where the newest that has arrived counts. Differs: rewards are not late.
    """

    def __init__(
        self, env: gym.Env[Any, Any], actions: int | Sequence[int] = 0, observations: int | Sequence[int] = 0
    ) -> None:
        self._sent, self._seen = _DelayLine("actions", actions), _DelayLine("observations", observations)
        self._neutral = _neutral(env.action_space)
        gym.utils.RecordConstructorArgs.__init__(self, actions=self._sent.delay, observations=self._seen.delay)
        gym.Wrapper.__init__(self, env)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode with nothing under way; ``seed`` decides its delays."""
        obs, info = self.env.reset(seed=seed, options=options)
        self._sent.start(self._neutral, seed)
        self._seen.start(obs, seed)
        return obs, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step with the newest action that has arrived, and see the newest observation that has."""
        obs, reward, terminated, truncated, info = self.env.step(self._sent.carry(action))
        return self._seen.carry(obs), reward, terminated, truncated, info


class _DelayLine:
    """A line on which things take some steps from one end to the other, where the newest that has arrived is kept.

    Attributes:
        delay: steps, as :class:`Delay` takes them.
    """

    def __init__(self, name: str, delay: Any) -> None:
        self.delay = _checked(name, delay)
        self._name = name
        self._least, self._most = (self.delay, self.delay) if isinstance(self.delay, int) else self.delay
        self._generator: np.random.Generator | None = None
        self._under_way: deque[tuple[int, Any]] = deque()
        self._arrived: Any = None
        self._now = 0

    def start(self, first: Any, seed: int | None) -> None:
        """Begin an episode at whose start ``first`` has arrived, and nothing is under way."""
        if self._least < self._most:
            self._generator = chance(self._generator, seed, f"Delay {self._name}")
        self._under_way.clear()
        self._arrived, self._now = deepcopy(first), 0

    def carry(self, sent: Any) -> Any:
        """Take a step: send one thing, and return the newest that has arrived. Both ends may change what they hold.

        ``_under_way`` holds when each is due, in rising order: what is due with the newest, or later, is overtaken.
        """
        if self._most == 0:
            return sent
        due = self._now + self._draw()
        while self._under_way and self._under_way[-1][0] >= due:
            self._under_way.pop()
        self._under_way.append((due, deepcopy(sent)))
        if self._under_way[0][0] == self._now:
            self._arrived = self._under_way.popleft()[1]
        self._now += 1
        return deepcopy(self._arrived)

    def _draw(self) -> int:
        if self._generator is None:
            return self._most
        return int(self._generator.integers(self._least, self._most, endpoint=True))


def _neutral(acted: gym.Space[Any]) -> Any:
    """Return the action that acts before any has arrived."""
    if isinstance(acted, gym.spaces.Discrete):
        return acted.start
    if isinstance(acted, gym.spaces.Box):
        return np.zeros(acted.shape, acted.dtype).clip(acted.low, acted.high)
    raise SpaceError(f"Delay: expected actions of a box, or discrete ones, got {' '.join(str(acted).split())}")


def _checked(name: str, delay: Any) -> int | list[int]:
    try:
        least, most = delay
    except (TypeError, ValueError):
        least = most = delay
    fits = [isinstance(n, int | np.integer) and not isinstance(n, bool) and 0 <= n <= MOST_STEPS for n in (least, most)]
    if not all(fits) or least > most:
        raise SettingError(
            f"{name}: expected a whole number of steps from 0 to {MOST_STEPS:,}, or the least and the most such as "
            f"[0,3], got {delay!r}"
        )
    return int(least) if least is delay else [int(least), int(most)]
