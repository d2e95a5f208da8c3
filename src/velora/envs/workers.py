"""Environments in processes of their own, for simulators that take longer than it takes to ask them.

Gymnasium's ``AsyncVectorEnv`` steps all of its environments together; where a process of it ends, so does the run, with
``BrokenPipeError``, and where one hangs, it waits for ever. Seeds of a run stand at different episodes and end one by
one, so that here each environment is asked by itself.
"""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeAlias, final

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector.utils import CloudpickleWrapper

from velora.core.errors import SettingError, WorkerError
from velora.envs.worker import Worker

_CLOSE_S = 5.0
"""Time that all workers have together to close their environments, in seconds."""


class Workers:
    """Processes that hold environments, each its share of them.

    They are fresh interpreters, which import what they need and no script. They end when they are closed, or the
    process does that made them.

    Args:
        n: how many.
        timeout_s: the longest time that an environment may take to be made, to reset or to step, in seconds.

    Raises:
        SettingError: on a system without sockets that a process can inherit, such as Windows.
    """

    def __init__(self, n: int, *, timeout_s: float = 60.0) -> None:
        if os.name != "posix":
            raise SettingError("workers: expected Linux or macOS; leave them out here")
        self._workers = [Worker(index, timeout_s) for index in range(n)]
        self._n_made = 0

    def make(self, make: Callable[[], gym.Env[Any, Any]]) -> RemoteEnv:
        """Make an environment in the worker whose turn it is.

        Raises:
            SettingError: if ``make`` can't be sent to a process.
            WorkerError: if the worker ends or doesn't answer; what ``make`` raises there is raised here.
        """
        number, worker = self._n_made, self._workers[self._n_made % len(self._workers)]
        self._n_made += 1
        try:
            _pack(make)
        except Exception as error:
            raise SettingError(
                f"workers: the environment can't be sent to another process ({type(error).__name__}: {error}); give "
                "its registered id, or a function that makes it from what can be copied"
            ) from error
        return RemoteEnv(worker, number, CloudpickleWrapper(partial(_made, make, _registered())))

    def close(self) -> None:
        """Close all environments, and end all processes; those that don't in time are killed."""
        for worker in self._workers:
            worker.hang_up()
        deadline = time.monotonic() + _CLOSE_S
        for worker in self._workers:
            worker.end(deadline)


MakeWorkers: TypeAlias = Callable[[int], Workers]
"""Begins workers for so many environments."""


def in_workers(n: int, timeout_s: float) -> MakeWorkers | None:
    """Check the settings of workers, and return what begins them; ``None`` if there are to be none.

    Raises:
        SettingError: if a setting is out of its domain.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 0:
        raise SettingError(f"workers: expected a whole number of at least 0, got {n!r}")
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float) or not 0.0 < timeout_s < math.inf:
        raise SettingError(f"worker_timeout_s: expected a number above 0, got {timeout_s!r}")
    return (lambda n_envs: Workers(min(n, n_envs), timeout_s=timeout_s)) if n else None


def _comes_with_gymnasium(spec: EnvSpec) -> bool:
    return isinstance(spec.entry_point, str) and spec.entry_point.startswith("gymnasium.")


def _pack(thing: Any) -> bytes:
    return pickle.dumps(CloudpickleWrapper(thing))


def _registered() -> dict[str, bytes]:
    """Pack what is registered beside Gymnasium's own environments, each by itself; what can't be packed is left out."""
    packed = {}
    for env_id, spec in gym.registry.items():
        if not _comes_with_gymnasium(spec):
            with contextlib.suppress(Exception):  # whatever a user's class raises then
                packed[env_id] = _pack(spec)
    return packed


def _made(make: Callable[[], gym.Env[Any, Any]], registered: Mapping[str, bytes]) -> gym.Env[Any, Any]:
    """Make an environment in a worker, which knows what was registered where it came from.

    An environment that is registered but not asked for, from a module that can't be imported here, is no obstacle; an
    error tells of it.
    """
    unknown = []
    for env_id, packed in registered.items():
        try:
            gym.registry.setdefault(env_id, pickle.loads(packed).fn)
        except Exception as error:  # noqa: BLE001 - whatever a user's module raises then
            unknown.append(f"{env_id} can't be registered in a worker: {type(error).__name__}: {error}")
    try:
        return make()
    except Exception as error:
        for note in unknown:
            error.add_note(note)
        raise


def tell(envs: Iterable[gym.Env[Any, Any]], name: str) -> None:
    """Have an entry of the information sent that isn't otherwise, by those environments that are in workers."""
    for env in envs:
        if isinstance(env, RemoteEnv):
            env.tell(name)


@final
class RemoteEnv(gym.Env[Any, Any]):
    """An environment in a worker, asked from here.

    :meth:`begin` sends an action; the :meth:`step` after it only waits for the answer, so that several environments can
    step at the same time.
    """

    def __init__(self, worker: Worker, number: int, make: CloudpickleWrapper) -> None:
        self._worker, self._number = worker, number
        self._begun: int | None = None
        self.observation_space, self.action_space = self._asked("make", make)

    def _asked(self, what: str, argument: Any) -> Any:
        return self._worker.answer(self._worker.ask(self._number, what, argument))

    def tell(self, name: str) -> None:
        """Have an entry of the information sent that isn't otherwise."""
        self._asked("tell", name)

    def begin(self, action: Any) -> None:
        """Begin a step."""
        self._begun = self._worker.ask(self._number, "step", action)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Wait for the step that was begun, or take one."""
        if self._begun is None:
            self.begin(action)
        begun, self._begun = self._begun, None
        assert begun is not None
        answer: tuple[Any, Any, bool, bool, dict[str, Any]] = self._worker.answer(begun)
        return answer

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; a step that was begun before counts for nothing."""
        if self._begun is not None:
            self._worker.forget(self._begun)
            self._begun = None
        answer: tuple[Any, dict[str, Any]] = self._asked("reset", seed)
        return answer

    def get_wrapper_attr(self, name: str) -> Any:
        """Read an attribute of the environment or of a wrapper around it."""
        return self._asked("attribute", name)

    def close(self) -> None:
        """Have the environment closed, without waiting for it; its process goes on with the others."""
        with contextlib.suppress(WorkerError):
            self._worker.ask(self._number, "close", None)
