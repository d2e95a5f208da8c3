"""Irregular time: actions that last for several steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from velora.core.errors import SettingError
from velora.envs.clock import told
from velora.envs.wrappers.parts import chance
from velora.envs.wrappers.registry import register

MOST_STEPS = 10_000


@register("time", place=10)
class HoldAction(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Wrapper that holds each action for several steps, and reports in ``info["dt"]`` how long that was.

    What the agent sees as one step is several of the environment, and it doesn't know how many before it acts. The
    last step of an episode may be cut short, and ``dt`` is what it really took. Steps of the environment count as long
    as they say themselves (``info["dt"]``), else 1; one that gives ``info["timestamp"]`` tells the time on its own.

    Rewards of the held steps are summed without a discount. So an episode's return is what it would be without this
    wrapper and compares with it, and the environment needs to know nothing of the agent's ``gamma``. The agent's
    discount starts after the held steps: a reward inside them counts as if it came at their start, which makes it
    at most ``gamma**-(steps - 1)`` times as large (3 % for 4 steps and 0.99).

    Args:
        env: the environment.
        hold: how many steps to choose from; a number that is there twice is chosen twice as often.
        order: ``"random"`` chooses uniformly, ``"cycle"`` takes one after the other, from the first at every reset.

    Raises:
        SettingError: if ``hold`` holds anything but whole numbers from 1 to 10,000, or ``order`` is unknown.

    Example:
        >>> env = HoldAction(gym.make("Pendulum-v1"), [3, 2], order="cycle")
        >>> _ = env.reset(seed=0)
        >>> [env.step(env.action_space.sample())[4]["dt"] for _ in range(3)]
        [3.0, 2.0, 3.0]
    """

    def __init__(self, env: gym.Env[Any, Any], hold: Sequence[int] = (1, 2, 3, 4), order: str = "random") -> None:
        self._hold = _checked(hold)
        if order not in ("random", "cycle"):
            raise SettingError(f"order: expected random or cycle, got {order!r}")
        gym.utils.RecordConstructorArgs.__init__(self, hold=self._hold, order=order)
        gym.Wrapper.__init__(self, env)
        self._is_random = order == "random"
        self._generator: np.random.Generator | None = None
        self._taken = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; ``seed`` decides how long its actions are held."""
        self._taken = 0
        if self._is_random:
            self._generator = chance(self._generator, seed, "HoldAction")
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Repeat the action, to the end of the episode at most; return the last observation and the sum of rewards.

        Raises:
            SpaceError: if one of the steps says that it took no time, or none that is a number.
        """
        reward: Any = 0.0
        dt = 0.0
        for _ in range(self._next()):
            obs, given, terminated, truncated, info = self.env.step(action)
            reward = reward + given  # an array of one number is kept as it is
            dt += told(info, "HoldAction")
            if terminated or truncated:
                break
        if "timestamp" not in info or info.get("dt") is not None:
            info = {**info, "dt": dt}
        return obs, reward, terminated, truncated, info

    def _next(self) -> int:
        if self._generator is None:  # a cycle, or a step before any reset, which the environment will refuse
            at = self._taken % len(self._hold)
        else:
            at = int(self._generator.integers(len(self._hold)))
        self._taken += 1
        return self._hold[at]


def _checked(hold: Any) -> list[int]:
    try:
        numbers = list(hold)
    except TypeError:
        numbers = []
    fits = [isinstance(n, int | np.integer) and not isinstance(n, bool) and 1 <= n <= MOST_STEPS for n in numbers]
    if not numbers or not all(fits):
        raise SettingError(
            f"hold: expected a list of whole numbers from 1 to {MOST_STEPS:,}, such as [1,2,3,4], got {hold!r}"
        )
    return [int(n) for n in numbers]
