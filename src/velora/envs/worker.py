"""One process with environments, as the process that asks it sees it."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from itertools import count
from multiprocessing.connection import Connection
from typing import Any

from velora.core.errors import WorkerError

_LOOK_S = 0.5
"""How often a worker that is silent is looked after, in seconds."""
_START_S = 60.0
"""Time that a process has to start and to import, besides what making an environment takes, in seconds."""
_END_S = 5.0
"""Time that a process whose connection broke has to be gone, in seconds."""
_MAIN = "import sys; sys.path[:] = {path!r}; from velora.envs import worker_process; worker_process.serve({descriptor})"


class Worker:
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
            self._process.wait(_END_S)
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
