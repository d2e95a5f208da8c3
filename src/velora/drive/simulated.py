"""A simulated plant: a Gymnasium environment whose physics goes on by the clock, whatever the policy is doing."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import monotonic_ns
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from velora.core.errors import PlantError, SettingError
from velora.drive.clock import SECOND
from velora.drive.plant import Reading
from velora.drive.settings import check_times
from velora.envs import dimensions
from velora.envs.make import Env, flattened

LEAST_PHYSICS = 10
"""Steps of physics in a control step, at least: so finely is time resolved."""


class SimulatedPlant:
    """An environment that is stepped by the clock.

    The action that was written last acts on the physics until the next one is. Each call first lets the physics catch
    up with the clock, in steps of ``step_s / physics``, so that a policy that thinks for long finds the world moved on.
    A reading's time is that of its physics. Rewards are scaled to control steps, so that returns compare with
    training's.

    Args:
        env: the environment, whose observations are made flat as in training; the plant closes it.
        step_s: seconds of the clock that a control step lasts; ``None`` takes the environment's own. Less is a world
            that goes faster.
        physics: steps of physics in a control step. More than 1 changes the environment: see :func:`refine`.
        seed: of the first episode; each further one counts on.
        clock: returns the time in nanoseconds.
        shows_previous: append the last action in [-1, 1] and the reward since the reading before to observations, as
            ``env/previous=action_reward`` does.

    Raises:
        SettingError: if a control step has no length, or the physics can't be made finer.
        SpaceError: if no agent can act in the environment.

    Attributes:
        step_s: as it was found.
        physics_s: seconds of one step of physics.
    """

    def __init__(
        self,
        env: Env,
        *,
        step_s: float | None = None,
        physics: int = 1,
        seed: int = 0,
        clock: Callable[[], int] = monotonic_ns,
        shows_previous: bool = False,
    ) -> None:
        if physics < 1:
            raise SettingError(f"physics: expected at least 1 step in a control step, got {physics}")
        env = flattened(env)
        dimensions(env)
        own = control_step_s(env)
        if step_s is None and own is None:
            raise SettingError(f"step_s: {_name(env)} doesn't say how long its control step is; give it in seconds")
        self.step_s = step_s if step_s is not None else own or 0.0
        check_times(1.0, self.step_s)
        if physics > 1:
            refine(env, physics)
        self.env, self._physics, self._clock = env, physics, clock
        self.physics_s = self.step_s / physics
        self._physics_ns = self.physics_s * SECOND
        self._is_discrete = isinstance(env.action_space, gym.spaces.Discrete)
        self._shows_previous = shows_previous
        self._seed, self._start, self._done = seed, 0, 0
        self._is_running = False
        self._action: Any = None
        self._obs: Any = None
        self._earned, self._ended = 0.0, (False, False)
        self._told = -1

    @property
    def n_observations(self) -> int:
        """Numbers of an observation."""
        seen, acted = self.env.observation_space.shape, self.env.action_space
        more = 0
        if self._shows_previous:
            more = 1 + (int(acted.n) if isinstance(acted, gym.spaces.Discrete) else math.prod(acted.shape or ()))
        return math.prod(seen or ()) + more

    def read(self) -> Reading | None:
        """Return the newest reading; one that ends an episode is followed by one that begins the next."""
        now = self._clock()
        if not self._is_running:
            return self._begin(now)
        self._catch_up(now)
        if self._done == self._told:
            return None
        self._told = self._done
        terminated, truncated = self._ended
        if terminated or truncated:
            self._is_running = False
        earned, self._earned = self._earned, 0.0
        time_ns = self._start + round(self._done * self._physics_ns)
        return Reading(self._shown(earned), time_ns, False, earned, terminated, truncated)

    def write(self, action: NDArray[Any]) -> None:
        """Let the physics catch up under the action before, and then take this one."""
        if self._is_running:
            self._catch_up(self._clock())
        self._action = int(action[0]) if self._is_discrete else np.array(action)

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def rehearse(self, seconds: float) -> None:
        """Do the physics of so much time at once, on an episode that is thrown away; to see how long that takes."""
        self.env.reset(seed=self._seed)
        action = self.env.action_space.sample()
        for _ in range(max(1, math.ceil(seconds / self.physics_s))):
            _, _, terminated, truncated, _ = self.env.step(action)
            if terminated or truncated:
                self.env.reset()

    def _begin(self, now: int) -> Reading:
        self._obs, _ = self.env.reset(seed=self._seed)
        self._seed += 1
        self._start, self._done, self._told, self._earned = self._clock(), 0, 0, 0.0
        self._is_running, self._ended = True, (False, False)
        if self._is_discrete:
            self._action = int(self.env.action_space.start)  # type: ignore[attr-defined]
        else:
            space: Any = self.env.action_space
            self._action = np.clip(np.zeros(space.shape, space.dtype), space.low, space.high)
        return Reading(self._shown(0.0, is_first=True), self._start, True)

    def _catch_up(self, now: int) -> None:
        due = int((now - self._start) / self._physics_ns)
        while self._done < due and not any(self._ended):
            self._obs, reward, terminated, truncated, _ = self.env.step(self._action)
            self._done += 1
            self._earned += float(reward) / self._physics
            self._ended = bool(terminated), bool(truncated)

    def _shown(self, earned: float, *, is_first: bool = False) -> NDArray[np.float32]:
        obs = np.asarray(self._obs, np.float32).ravel()
        if not self._shows_previous:
            return obs
        space: Any = self.env.action_space
        if self._is_discrete:
            acted = (np.arange(space.n) == self._action - space.start).astype(np.float32)
        else:
            acted = (2.0 * (np.asarray(self._action) - space.low) / (space.high - space.low) - 1.0).clip(-1.0, 1.0)
        if is_first:
            acted = acted * 0.0
        return np.concatenate((obs, acted.ravel(), [earned]), dtype=np.float32)


def control_step_s(env: Env) -> float | None:
    """Return the seconds of an environment's control step: its attribute ``dt``, or ``tau``; ``None`` without one."""
    for name in ("dt", "tau"):
        try:
            found = float(env.get_wrapper_attr(name))
        except (AttributeError, TypeError, ValueError):
            continue
        if found > 0.0:
            return found
    return None


def refine(env: Env, n: int) -> None:
    """Make one step of an environment the n-th part of what it was; its time limit counts n times as many.

    MuJoCo's tasks get the n-th timestep and one of those in a step. In others the attribute ``dt`` or ``tau`` is
    divided, as Gymnasium's Pendulum, Acrobot and CartPole have it.

    Raises:
        SettingError: if it has none of these.
    """
    base: Any = env.unwrapped
    model = getattr(base, "model", None)
    if model is not None and hasattr(base, "frame_skip"):
        model.opt.timestep = model.opt.timestep * base.frame_skip / n
        base.frame_skip = 1
    else:
        name = next((name for name in ("dt", "tau") if isinstance(getattr(base, name, None), float)), None)
        if name is None or isinstance(getattr(type(base), name, None), property):
            raise SettingError(
                f"physics: the steps of {_name(env)} can't be made shorter; choose physics=1, and a rate of at most "
                "one tick in a control step"
            )
        setattr(base, name, getattr(base, name) / n)
    layer: Any = env
    while isinstance(layer, gym.Wrapper):
        if isinstance(layer, gym.wrappers.TimeLimit):
            layer._max_episode_steps *= n
        layer = layer.env


def fine_enough(rate: float, step_s: float) -> int:
    """Return how many steps of physics a control step needs: two in every period, and at least ten."""
    return max(LEAST_PHYSICS, math.ceil(2.0 * rate * step_s))


def _name(env: Env) -> str:
    return env.spec.id if env.spec is not None else type(env.unwrapped).__name__


def simulated(
    env: Env, rate: float, *, step_s: float | None = None, physics: int | None = None, **rest: Any
) -> SimulatedPlant:
    """Make a simulated plant whose physics is fine enough for a rate; a coarse environment stays as it is.

    Raises:
        PlantError: if its physics is coarser than the loop, which would find nothing new at most ticks.
        SettingError: as :class:`SimulatedPlant`, and if the rate or the step is out of its range.
    """
    own = control_step_s(env) if step_s is None else step_s
    check_times(rate, 1.0 / rate if own is None else own)
    if physics is None and own is not None:
        try:
            return SimulatedPlant(env, step_s=step_s, physics=fine_enough(rate, own), **rest)
        except SettingError:
            if rate * own > 1.0 + 1e-9:
                raise PlantError(
                    f"plant: {_name(env)} moves in steps of {own:g} s, which can't be made shorter, and rate={rate:g} "
                    f"wants more; expected at most rate={1.0 / own:g}, or a shorter step_s"
                ) from None
    return SimulatedPlant(env, step_s=step_s, physics=1 if physics is None else physics, **rest)
