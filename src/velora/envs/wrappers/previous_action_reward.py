"""Help against partial observation: what was done last, and what it earned."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from velora.core.errors import SpaceError
from velora.core.types import Array
from velora.envs.action_spaces import acting_space
from velora.envs.wrappers.parts import flat_box
from velora.envs.wrappers.registry import register


@register("previous", place=50, switch="action_reward")
class PreviousActionReward(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Append the last action, scaled to [-1, 1], and the last reward to every observation.

    A discrete action is appended as a number for each there is: 1 for the one that was taken, 0 for all others. At an
    episode's start all are zero. Where components of the observation are missing, they tell what the environment
    has answered to what.

    Args:
        env: the environment, with a flat box of observations, and a flat bounded box of actions or discrete ones.

    Raises:
        SpaceError: if it has other spaces.

    Example:
        >>> env = PreviousActionReward(gym.make("Pendulum-v1"))
        >>> env.reset(seed=0)[0][3:].tolist()
        [0.0, 0.0]
        >>> obs, reward, *_ = env.step(np.array([1.0], np.float32))
        >>> obs[3].item(), bool(obs[4] == np.float32(reward))
        (0.5, True)

    Source:
        Wang et al. 2016 (arXiv 1611.05763); Ni et al. 2022 (arXiv 2110.05038) for continuous control.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        seen, acted = flat_box(env, "PreviousActionReward"), acting_space(env)
        if not isinstance(acted, gym.spaces.Discrete) and not (
            isinstance(acted, gym.spaces.Box) and len(acted.shape) == 1 and acted.is_bounded()
        ):
            raise SpaceError(
                f"PreviousActionReward: expected actions of a flat bounded box, or discrete ones, got {acted}"
            )
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)
        self._dtype = seen.dtype if np.issubdtype(seen.dtype, np.floating) else np.dtype(np.float32)
        self._acted = acted
        ones = np.ones(int(acted.n) if isinstance(acted, gym.spaces.Discrete) else acted.shape[0])
        low, high = np.concatenate((seen.low, -ones, [-np.inf])), np.concatenate((seen.high, ones, [np.inf]))
        kind: Any = self._dtype.type
        self.observation_space = gym.spaces.Box(low.astype(kind), high.astype(kind), dtype=kind)
        self._nothing = np.zeros(len(ones) + 1)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Begin an episode."""
        obs, info = self.env.reset(seed=seed, options=options)
        return self._joined(obs, self._nothing), info

    def step(self, action: Any) -> tuple[Array, Any, bool, bool, dict[str, Any]]:
        """Step, and see what was done and earned beside the answer."""
        done = self._in_numbers(action)
        obs, reward, terminated, truncated, info = self.env.step(action)
        return (
            self._joined(obs, np.append(done, np.asarray(reward))),
            reward,
            terminated,
            truncated,
            info,
        )

    @np.errstate(all="ignore")
    def _in_numbers(self, action: Any) -> Array:
        acted = self._acted
        if isinstance(acted, gym.spaces.Discrete):
            chosen: Array = (np.arange(acted.n) == action - acted.start).astype(np.float64)
            return chosen
        low, half = acted.low, 0.5 * (acted.high - acted.low)
        shares: Array = ((np.asarray(action, np.float64) - low) / half - 1.0).clip(-1.0, 1.0)
        return shares

    @np.errstate(all="ignore")
    def _joined(self, obs: Any, more: Array) -> Array:
        return np.concatenate((obs, more), dtype=self._dtype)
