"""Run commands in processes of their own, some at a time, and bear whatever happens to them or to this process.

A process that dies takes no other with it. A signal that asks this process to end is passed on once, and then all are
waited for, so that they can save. If this process is killed, the system tells them (:func:`tie_to_parent`).
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Final

from velora.core import cores

_POLL_S: Final = 0.05
_BEFORE_PASSING_ON_S: Final = 0.5
"""A terminal and a scheduler signal every process of a job themselves; what is passed on has to come after that."""
_SAME_WITHIN_S: Final = 1.0
_TO_SAVE_S: Final = 60.0
_PASSED_ON: Final = getattr(signal, "SIGUSR2", None)
"""Saves and ends a run, as the others do, but is ignored by one that is ending already (docs/adr/0004-signals.md)."""
_ENDING: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_PR_SET_PDEATHSIG: Final = 1


class Stopped(KeyboardInterrupt):
    """Interruption by a signal, raised once all processes have ended.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__("interrupted")
        self.number = number


@dataclass(frozen=True)
class Work:
    """A command to run.

    Attributes:
        name: for people.
        words: the program and its arguments.
        log: where standard output and standard error go, after what is there.
    """

    name: str
    words: Sequence[str]
    log: Path


@dataclass(frozen=True)
class _Running:
    """A command that runs."""

    work: Work
    process: subprocess.Popen[bytes]


@dataclass
class _Request:
    """What signals have asked for, and what was done about it.

    Attributes:
        numbers: of the signals.
        at_s: when the first came.
        is_passed_on: whether the processes were told.
        is_urgent: whether another came later: somebody is impatient.
    """

    numbers: list[int] = field(default_factory=list)
    at_s: float = 0.0
    is_passed_on: bool = False
    is_urgent: bool = False

    def note(self, number: int, frame: FrameType | None) -> None:
        """Take a signal; one that comes twice within a second is the same."""
        self.is_urgent = bool(self.numbers) and time.monotonic() - self.at_s > _SAME_WITHIN_S
        self.at_s = self.at_s if self.numbers else time.monotonic()
        self.numbers.append(number)


def run_all(
    works: Iterable[Work],
    *,
    at_a_time: int,
    ended: Callable[[Work, int], None] = lambda work, code: None,
    environment: Mapping[str, str] | None = None,
    tick: Callable[[], None] = lambda: None,
) -> dict[str, int]:
    """Run commands, so many at a time, until all have ended.

    Args:
        works: the commands, made when their turn comes.
        at_a_time: how many run beside each other, >= 1; the cores are shared out among them.
        ended: told of each command with its exit code, which is minus the signal's number if one ended it.
        environment: further environment variables.
        tick: called about twenty times a second, such as to show how things stand.

    Returns:
        The exit codes, by name.

    Raises:
        Stopped: if a signal asked this process to end; the commands were told, and have ended.
    """
    pending, running, codes = iter(works), list[_Running](), dict[str, int]()
    share = str(max(1, cores.n_cores() // at_a_time))
    variables = {**os.environ, "PYTHONUNBUFFERED": "1", cores.SHARE: share, **(environment or {})}
    has_more = True
    with _asked() as request:
        try:
            while has_more or running:
                while has_more and not request.numbers and len(running) < at_a_time:
                    if work := next(pending, None):
                        running.append(_begin(work, variables))
                    has_more = work is not None
                if request.numbers:
                    has_more = False
                    _pass_on(request, running)
                tick()
                time.sleep(_POLL_S)
                for one in [one for one in running if one.process.poll() is not None]:
                    running.remove(one)
                    codes[one.work.name] = one.process.returncode
                    ended(one.work, one.process.returncode)
        except BaseException:
            _stop(running)
            raise
    if request.numbers:
        raise Stopped(request.numbers[0])
    return codes


def was_told(code: int) -> bool:
    """Return whether a process ended by the signal that asks it to save and end."""
    return _PASSED_ON is not None and code == -_PASSED_ON


def said(code: int) -> str:
    """Say how a process ended.

    Example:
        >>> said(-9), said(3)
        ('killed by SIGKILL', 'ended with exit code 3')
    """
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def tie_to_parent(parent: int) -> None:
    """Have the system send SIGUSR2 to this process when its parent dies, so that it saves and ends; on Linux only.

    It is sent for each thread of the parent, one after the other: of a signal that ends a run at once when it comes
    again, the second would come before the run is saved.

    Args:
        parent: the parent's process number; if that is gone already, this process ends at once.
    """
    if sys.platform != "linux" or _PASSED_ON is None:
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(_PASSED_ON))
    if os.getppid() != parent:
        signal.raise_signal(_PASSED_ON)


def _begin(work: Work, variables: Mapping[str, str]) -> _Running:
    """Start a process; where its log can't be made, as on a full disk, it runs all the same."""
    try:
        work.log.parent.mkdir(parents=True, exist_ok=True)
        log: IO[bytes] | int = work.log.open("ab")
    except OSError:
        log = subprocess.DEVNULL
    try:
        process = subprocess.Popen(
            work.words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=dict(variables)
        )
    finally:
        if not isinstance(log, int):
            log.close()
    return _Running(work, process)


def _pass_on(request: _Request, running: Sequence[_Running]) -> None:
    """Tell the processes once, after whoever sent the signal had time to do so; and again if somebody is impatient."""
    waited_s = time.monotonic() - request.at_s
    if not request.is_passed_on and waited_s > _BEFORE_PASSING_ON_S:
        request.is_passed_on = True
        for one in running:
            if _PASSED_ON is not None:
                one.process.send_signal(_PASSED_ON)
    if request.is_urgent:
        request.is_urgent = False
        for one in running:
            one.process.terminate()


def _stop(running: Sequence[_Running]) -> None:
    """End processes after an error here: each has a minute to save."""
    for one in running:
        one.process.terminate()
    deadline = time.monotonic() + _TO_SAVE_S
    for one in running:
        try:
            one.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            one.process.kill()
            one.process.wait()


@contextmanager
def _asked() -> Iterator[_Request]:
    """Note signals instead of ending by them; Python allows that in the main thread only."""
    request = _Request()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    found = {number: signal.getsignal(number) for number in _ENDING}
    before = {number: handler for number, handler in found.items() if handler not in (None, signal.SIG_IGN)}
    for number in before:
        signal.signal(number, request.note)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
