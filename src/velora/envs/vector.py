"""Several environments in one process, stepped one after another, reset only when the caller says so."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from velora.core.errors import NonFiniteError, SpaceError
from velora.core.types import Action, Array
from velora.envs import answers, statistics
from velora.envs.answers import is_finite
from velora.envs.clock import NOMINAL_DT, Clock
from velora.envs.parameters import ParameterSetting
from velora.envs.privileged import read_state
from velora.envs.renewal import renewal
from velora.envs.workers import RemoteEnv

log = logging.getLogger(__name__)
_LARGEST = 2.0**128 - 2.0**103
"""Numbers from here on are infinite in float32."""
_ARRAY, _SINGLE, _DOUBLE = np.ndarray, np.dtype(np.float32), np.dtype(np.float64)
_NUMBERS = frozenset({float, int, np.float64, np.float32})
_TRUTHS = frozenset({bool, np.bool_})
"""Types of a reward, and of an end, that are read without a further look."""


class Step(NamedTuple):
    """Answer of one environment to one action, or to a reset, and how long that took, in control steps.

    ``obs`` is (O,), float32. ``seen`` are the bytes of the observation as the environment gave it.
    """

    obs: Array
    reward: float
    terminated: bool
    truncated: bool
    dt: float = NOMINAL_DT
    seen: bytes = b""


NO_STEP = Step(np.zeros(0, np.float32), 0.0, False, False)
"""What an environment that was never stepped has answered."""


class Environments:
    """E environments and the observation that each is at.

    Unlike Gymnasium's vector environments there is no automatic reset, so no transition from an episode's end to the
    next one's start is ever made. Where steps take long, environments may be in processes of their own, as
    :class:`velora.envs.workers.RemoteEnv`, which :meth:`begin` has step at the same time.

    How long a step took is what the environment says about it; see :class:`velora.envs.clock.Clock`. A step of which
    it says nothing took 1.

    Shapes:
        obs: (E, O) float32, the newest observation of each; (E, O + 1) where it shows the time.
        privileged: (E, P) float32, the newest ``info["state"]`` of each; (E, 0) where it isn't read.

    Attributes:
        are_remote: whether any of them is in a worker.
        at_start: the statistics that the wrappers of an environment kept when its episode began; only of those that do.
        parameters: sets numbers in them from one episode to another.

    Args:
        envs: the environments.
        obs_dim: numbers in an observation (O).
        shows_time: append the natural logarithm of the time since the observation before, in control steps. That of a
            regular step is 0, and so it is at an episode's start.
        needs_time: refuse a step that doesn't say how long it took, where ``shows_time`` would only warn once.
        privileged: numbers in ``info["state"]`` (P), which every reset and step then has to give; 0 reads none.
    """

    def __init__(
        self,
        envs: Sequence[gym.Env[Any, Any]],
        *,
        obs_dim: int,
        shows_time: bool = False,
        needs_time: bool = False,
        privileged: int = 0,
    ) -> None:
        self.envs = list(envs)
        self.parameters = ParameterSetting(self.envs)
        self._clocks = [Clock(env, index) for index, env in enumerate(self.envs)]
        self._renewals = [renewal(env) for env in self.envs]
        self._needs_time, self._misses_time, self._is_privileged = needs_time, False, privileged > 0
        self.obs: Array = np.zeros((len(self.envs), obs_dim + shows_time), dtype=np.float32)
        self.privileged: Array = np.zeros((len(self.envs), privileged), dtype=np.float32)
        self._seen = [row[:obs_dim] for row in self.obs]
        self._shape = (obs_dim,)
        self._keeping = {index for index, env in enumerate(self.envs) if statistics.keepers(env)}
        self.at_start: dict[int, statistics.Kept] = {}
        self._since = self.obs[:, -1] if shows_time else None
        self.are_remote = any(isinstance(env, RemoteEnv) for env in self.envs)

    def __len__(self) -> int:
        """Count the environments."""
        return len(self.envs)

    def reset(self, index: int, *, seed: int) -> Step:
        """Begin an episode that ``seed`` decides entirely; the answer earns nothing.

        What its wrappers keep is as before where it fails.

        Raises:
            NonFiniteError: if the observation, or what is privileged, isn't finite in float32.
            SpaceError: if the answer isn't what the interface says, or the environment tells time and doesn't say in
                what steps.
        """
        if index not in self._keeping:
            return self._reset(index, seed)
        with statistics.back_at_an_error(self.envs[index]) as self.at_start[index]:
            return self._reset(index, seed)

    def _reset(self, index: int, seed: int) -> Step:
        renew = self._renewals[index]
        if renew is not None:
            renew()
        obs, info = answers.reset(self.envs[index], seed, f"environment {index}")
        self._clocks[index].start(info)
        newest: Array = self._seen[index]
        answers.write(obs, newest, f"environment {index}", "reset")
        if not is_finite(newest):
            raise NonFiniteError(
                f"environment {index}: reset(seed={seed}) gave the observation {obs}; expected numbers that are "
                "finite in float32",
                environment=index,
            )
        if self._since is not None:
            self._since[index] = 0.0
        seen = _bytes(obs, newest) if not self._is_privileged else self._with_state(index, obs, info, "reset")
        return Step(newest, 0.0, False, False, seen=seen)

    def begin(self, actions: Iterable[tuple[int, Action]]) -> None:
        """Begin the steps of environments in workers, so that they take them at once; :meth:`step` has to follow."""
        for index, action in actions if self.are_remote else ():
            env = self.envs[index]
            if isinstance(env, RemoteEnv) and (isinstance(action, np.integer) or is_finite(action)):
                env.begin(action)

    def step(self, index: int, action: Action) -> Step:
        """Act once in one environment; ``obs[index]`` then holds the answer.

        Shapes:
            action: (A,), or a whole number.

        Raises:
            NonFiniteError: if the action isn't finite, or the observation or the reward isn't in float32.
            SpaceError: if the answer isn't what the interface says, the time that the step took isn't a number above
                0, or nothing is said about it and it is needed.
        """
        if (type(action) is _ARRAY or not isinstance(action, np.integer)) and not is_finite(action):
            raise NonFiniteError(
                f"policy: gave the action {action}; its weights or its input have diverged", environment=index
            )
        answer: Any = None
        try:
            answer = self.envs[index].step(action)
            obs, given, terminated, truncated, info = answer
        except (TypeError, ValueError) as error:
            answers.explain(error, answer, f"environment {index}")
            raise
        newest = self._seen[index]
        if type(obs) is not _ARRAY or obs.shape != self._shape:
            answers.write(obs, newest, f"environment {index}", "step")
        elif obs.dtype is _SINGLE:
            newest[...] = obs
        elif obs.dtype is _DOUBLE:
            _convert(obs, newest)
        else:
            answers.write(obs, newest, f"environment {index}", "step")
        if type(info) is not dict:
            answers.check_info(info, f"environment {index}", "step")
        reward = float(given) if type(given) in _NUMBERS else answers.reward(given, f"environment {index}")
        if type(terminated) not in _TRUTHS or type(truncated) not in _TRUTHS:
            terminated, truncated = answers.flags(terminated, truncated, f"environment {index}")
        if not (-_LARGEST < reward < _LARGEST and is_finite(newest)):
            raise NonFiniteError(
                f"environment {index}: step gave the observation {obs} and the reward {given}; expected numbers "
                "that are finite in float32",
                environment=index,
            )
        dt = self._clocks[index].elapsed(info)
        if dt is None:
            dt = self._untold(index)
        if self._since is not None:
            self._since[index] = math.log(dt)
        seen = _bytes(obs, newest) if not self._is_privileged else self._with_state(index, obs, info, "step")
        answer = newest, reward, bool(terminated), bool(truncated), dt, seen
        return tuple.__new__(Step, answer)  # the constructor of a named tuple takes twice as long

    def _with_state(self, index: int, obs: Any, info: Mapping[str, Any], call: str) -> bytes:
        return _bytes(obs, self._seen[index]) + read_state(info, self.privileged[index], f"environment {index}", call)

    def _untold(self, index: int) -> float:
        """Take a step of which nothing is said for a regular one, if that may be."""
        if self._since is None or self._misses_time:
            return NOMINAL_DT
        silence = f'environment {index}: gave no info["dt"] at a step, and the agent has time="input" or "both"'
        if self._needs_time:
            raise SpaceError(
                f'{silence}; give it at every step, in control steps, make the agent with time="gate", or state that '
                'every step is regular: env/time=irregular "env.time.hold=[1]", or velora.envs.wrappers.HoldAction('
                "env, [1])"
            )
        self._misses_time = True
        log.warning("%s; steps of which nothing is said are taken for regular ones, of 1 control step", silence)
        return NOMINAL_DT

    def replay(self, index: int, *, seed: int, actions: Iterable[Action]) -> Iterator[Step]:
        """Live an episode again, one answer after the other: that to the reset, and that to every action.

        At the end the environment stands where it stood in the middle of that episode, if it is deterministic given its
        reset seed; copying simulator state is not exact.

        Shapes:
            actions: (A,) in the environment's units, or a whole number, each as it was given.

        Raises:
            SpaceError: if the episode ends before the actions do.
        """
        yield (step := self.reset(index, seed=seed))
        for number, action in enumerate(actions):
            if step.terminated or step.truncated:
                raise SpaceError(f"environment {index}: its episode ended after {number} of the known steps")
            yield (step := self.step(index, action.copy()))


def _bytes(given: Any, newest: Array) -> bytes:
    """Return the bytes of an observation, in the precision that the environment gave it in if it is an array."""
    return given.tobytes() if type(given) is np.ndarray and not given.dtype.hasobject else newest.tobytes()


@np.errstate(all="ignore")
def _convert(numbers: Array, into: Array) -> None:
    """Round numbers to float32, with no word about those that become zero or infinite."""
    into[...] = numbers
