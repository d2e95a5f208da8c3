"""Run one trial in a child of this process, which has imported everything already: milliseconds, and a real process."""

from __future__ import annotations

import os
import pickle
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

RAISED: Final = 70
"""Exit code of a child whose work raised; the exception's name and text are the answer."""
LIMIT_S: Final = 120.0


@dataclass(frozen=True)
class Ending:
    """How a child ended.

    Attributes:
        code: its exit code; of a signal, minus its number.
        answer: what its work returned, or (type, text) of what it raised; ``None`` if it died before.
        text: the end of what it wrote to its outputs.
        seconds: how long it lived.
        extra_mib: the most memory that it took beyond what it began with.
        hung: it was killed because its time was up.
    """

    code: int
    answer: Any
    text: str
    seconds: float
    extra_mib: float
    hung: bool = False

    @property
    def is_killed(self) -> bool:
        """Return whether it died by SIGKILL, as trials that kill do."""
        return self.code == -signal.SIGKILL and not self.hung

    @property
    def is_fine(self) -> bool:
        """Return whether its work returned."""
        return self.code == 0

    def __str__(self) -> str:
        """Tell it in one line."""
        if self.hung:
            return f"hung for {self.seconds:.0f} s"
        if self.code == RAISED and self.answer:
            return f"{self.answer[0]}: {self.answer[1]}"[:300]
        last = self.text.strip().splitlines()[-1:] or [""]
        return f"ended with {self.code} {last[0]}"[:300]


@dataclass
class Child:
    """A child that runs; :meth:`wait` for it, or send it signals meanwhile."""

    pid: int
    _answer: int
    _output: int
    _began_s: float = field(default_factory=time.monotonic)
    _rss_kib: int = 0

    def wait(self, limit_s: float = LIMIT_S) -> Ending:
        """Wait for its end; kill it when its time is up."""
        hung = not self.ends_within(limit_s - (time.monotonic() - self._began_s))
        if hung:
            os.kill(self.pid, signal.SIGKILL)
        _, status, usage = os.wait4(self.pid, 0)
        seconds = time.monotonic() - self._began_s
        raw, text = _take(self._answer), _take(self._output).decode(errors="replace")
        try:
            answer = pickle.loads(raw) if raw else None  # written by our own child
        except (pickle.UnpicklingError, EOFError):
            answer = None  # killed while it wrote
        extra = max(0, usage.ru_maxrss - self._rss_kib) / 1024
        return Ending(os.waitstatus_to_exitcode(status), answer, text[-4000:], seconds, extra, hung)

    def ends_within(self, seconds: float) -> bool:
        """Return whether it ends in that time."""
        descriptor = os.pidfd_open(self.pid)
        try:
            return bool(select.select([descriptor], [], [], max(seconds, 0.0))[0])
        finally:
            os.close(descriptor)

    def send(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)


def start(work: Callable[[], Any], *, memory_mib: int | None = None) -> Child:
    """Start a child that does ``work`` and hands over what it returns (anything that pickles).

    Args:
        memory_mib: how much address space it may take beyond what this process has.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    answer, output = os.memfd_create("answer"), os.memfd_create("output")
    rss = _rss_kib()
    pid = os.fork()
    if pid == 0:
        _live(work, answer, output, memory_mib)
    return Child(pid, answer, output, _rss_kib=rss)


def run(work: Callable[[], Any], *, limit_s: float = LIMIT_S, memory_mib: int | None = None) -> Ending:
    """Do ``work`` in a child, and wait for its end."""
    return start(work, memory_mib=memory_mib).wait(limit_s)


def _live(work: Callable[[], Any], answer: int, output: int, memory_mib: int | None) -> None:
    code = RAISED
    try:
        for stream in (1, 2):
            os.dup2(output, stream)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        if memory_mib is not None:
            now = _pages(0) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (now + (memory_mib << 20), resource.RLIM_INFINITY))
        result = work()
        _give(answer, result)
        code = 0
    except BaseException as error:  # noqa: BLE001 - told to the parent
        traceback.print_exc()
        _give(answer, (type(error).__name__, str(error)))
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def _give(descriptor: int, value: Any) -> None:
    data = pickle.dumps(value)
    while data:
        data = data[os.write(descriptor, data) :]


def _take(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    data = os.pread(descriptor, size, 0)
    os.close(descriptor)
    return data


def _rss_kib() -> int:
    return _pages(1) * resource.getpagesize() // 1024


def _pages(which: int) -> int:
    """Count the pages of this process: 0 all that it has addresses for, 1 those in memory."""
    return int(Path("/proc/self/statm").read_text().split()[which])
