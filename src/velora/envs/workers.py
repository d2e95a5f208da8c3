"""Environments in processes of their own, for simulators that take longer than it takes to ask them.

Gymnasium's ``AsyncVectorEnv`` steps all of its environments together; where a process of it ends, so does the run, with
``BrokenPipeError``, and where one hangs, it waits for ever. Seeds of a run stand at different episodes and end one by
one, so that here each environment is asked by itself.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from multiprocessing.connection import Connection
from typing import Any, final

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector.utils import CloudpickleWrapper

from velora.core.errors import SettingError, WorkerError

_LOOK_S = 0.5
"""How often a worker that is silent is looked after, in seconds."""
_START_S = 60.0
"""Time that a process has to start and to import, besides what making an environment takes, in seconds."""
_CLOSE_S = 5.0
"""Time that all workers have together to close their environments, in seconds."""
_MAIN = "import sys; sys.path[:] = {path!r}; from velora.envs import worker_process; worker_process.serve({descriptor})"


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
        self._workers = [_Worker(index, timeout_s) for index in range(n)]
        self._n_made = 0

    def make(self, make: Callable[[], gym.Env[Any, Any]]) -> RemoteEnv:
        """Make an environment in the worker whose turn it is.

        Raises:
            SettingError: if ``make`` can't be sent to a process.
            WorkerError: if the worker ends or doesn't answer; what ``make`` raises there is raised here.
        """
        number, worker = self._n_made, self._workers[self._n_made % len(self._workers)]
        self._n_made += 1
        own = [spec for spec in gym.registry.values() if not _comes_with_gymnasium(spec) and _can_be_sent(spec) is None]
        problem = _can_be_sent(make)
        if problem is not None:
            raise SettingError(
                f"workers: the environment can't be sent to another process ({problem}); give its registered id, or a "
                "function that makes it from what can be copied"
            )
        return RemoteEnv(worker, number, CloudpickleWrapper(partial(_made, make, own)))

    def close(self) -> None:
        """Close all environments, and end all processes; those that don't in time are killed."""
        for worker in self._workers:
            worker.hang_up()
        deadline = time.monotonic() + _CLOSE_S
        for worker in self._workers:
            worker.end(deadline)


def _comes_with_gymnasium(spec: EnvSpec) -> bool:
    return isinstance(spec.entry_point, str) and spec.entry_point.startswith("gymnasium.")


def _can_be_sent(thing: Any) -> str | None:
    """Return why something can't be packed; ``None`` if it can."""
    try:
        pickle.dumps(CloudpickleWrapper(thing))
    except Exception as error:  # noqa: BLE001 - whatever a user's class raises then
        return f"{type(error).__name__}: {error}"
    return None


def _made(make: Callable[[], gym.Env[Any, Any]], registered: list[EnvSpec]) -> gym.Env[Any, Any]:
    """Make an environment in a worker, which knows what was registered where it came from."""
    for spec in registered:
        gym.registry.setdefault(spec.id, spec)
    return make()


@final
class RemoteEnv(gym.Env[Any, Any]):
    """An environment in a worker, asked from here.

    :meth:`begin` sends an action; the :meth:`step` after it only waits for the answer, so that several environments can
    step at the same time.
    """

    def __init__(self, worker: _Worker, number: int, make: CloudpickleWrapper) -> None:
        self._worker, self._number = worker, number
        self._begun: int | None = None
        self.observation_space, self.action_space = self._asked("make", make)

    def _asked(self, what: str, argument: Any) -> Any:
        return self._worker.answer(self._worker.ask(self._number, what, argument))

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


class _Worker:
    """One process, and what has come from it; it answers in the order in which it is asked."""

    def __init__(self, index: int, timeout_s: float) -> None:
        self._index, self._timeout_s, self._ids = index, timeout_s, count()
        self._waiting: dict[int, tuple[int, str]] = {}
        self._answers: dict[int, tuple[bool, Any]] = {}
        ours, theirs = socket.socketpair()
        with theirs:
            path = [part or os.getcwd() for part in sys.path]
            code = _MAIN.format(path=path, descriptor=theirs.fileno())
            self._process = subprocess.Popen(
                [sys.executable, "-c", code], stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
        self._connection = Connection(ours.detach())

    def ask(self, number: int, what: str, argument: Any) -> int:
        """Send a request to an environment; return its id.

        Raises:
            WorkerError: if the process has ended.
        """
        if self._connection.closed:
            raise WorkerError(f"environment {number}: worker {self._index} was closed; it can't {what} any more")
        request = next(self._ids)
        self._waiting[request] = number, what
        try:
            self._connection.send_bytes(pickle.dumps((request, number, what, pickle.dumps(argument))))
        except OSError:
            raise self._ended() from None
        return request

    def answer(self, request: int) -> Any:
        """Wait for the answer to a request.

        Raises:
            WorkerError: if the process ends or the time is over; an error of the environment itself is raised as it is.
        """
        number, what = self._waiting.get(request) or (-1, "")
        limit_s = self._timeout_s + (_START_S if what == "make" else 0.0)
        deadline = time.monotonic() + limit_s
        while request not in self._answers:
            left_s = deadline - time.monotonic()
            if left_s <= 0.0:
                raise self._silent(limit_s)
            self._receive(min(left_s, _LOOK_S))
        is_answer, answer = self._answers.pop(request)
        if is_answer:
            return answer
        error: Exception = pickle.loads(answer[0])
        error.add_note(f"environment {number}, in worker {self._index}:\n{answer[1]}")
        raise error

    def forget(self, request: int) -> None:
        """Wait no more for an answer that may come."""
        self._waiting.pop(request, None)
        self._answers.pop(request, None)

    def _receive(self, seconds: float) -> None:
        """Take what comes within this time; look after the process where nothing does."""
        try:
            if self._connection.poll(seconds):
                request, is_answer, answer = pickle.loads(self._connection.recv_bytes())
                if self._waiting.pop(request, None):
                    self._answers[request] = is_answer, answer
            elif self._process.poll() is not None:
                raise EOFError
        except (EOFError, OSError):
            raise self._ended() from None

    def _silent(self, limit_s: float) -> WorkerError:
        """End a process that doesn't answer."""
        who = self._named()
        self._process.kill()
        return WorkerError(
            f"{who} within {limit_s:g} s: it gave no answer, and was killed; raise worker_timeout_s if the simulator "
            "takes longer"
        )

    def _ended(self) -> WorkerError:
        """Say how the process has ended."""
        with contextlib.suppress(EOFError, OSError):
            while self._connection.poll(0):
                self._waiting.pop(pickle.loads(self._connection.recv_bytes())[0], None)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_CLOSE_S)
        code = self._process.returncode
        how = f"exit code {code}" if code is None or code >= 0 else f"signal {_signal_name(-code)}"
        return WorkerError(f"{self._named()}: it ended with {how}; standard error may say why")

    def _named(self) -> str:
        """Name the process, and the first request that it hasn't answered."""
        number, what = next(iter(self._waiting.values()), (None, "start"))
        where = "" if number is None else f"environment {number}: "
        return f"{where}worker {self._index} (process {self._process.pid}) didn't {what}"

    def hang_up(self) -> None:
        """Tell the process to close its environments and to end."""
        self._connection.close()

    def end(self, deadline: float) -> None:
        """Wait for that, or kill the process."""
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
