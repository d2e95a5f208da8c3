"""The processes of a study: started, waited for, and ended together with the command that has started them.

``python -m velora.cli.tune.workers`` is one of them.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Final

from velora.core.errors import VeloraError
from velora.core.terminal import complain

LOG: Final = "workers.log"
_ASKED: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
)
_PR_SET_PDEATHSIG: Final = 1


class Workers:
    """Processes that work at a study.

    They are in sessions of their own, so that Ctrl+C reaches them once, through this process. Where the system can, it
    asks them to save and end when this process dies.

    Attributes:
        deaths: signals that have ended one, in order.
        received: the signal that this process was asked to end by, or ``None``.
    """

    def __init__(self, home: Path, n_workers: int) -> None:
        """Start so many, which share the cores."""
        self._home, self._n_workers = home, n_workers
        self.deaths: list[int] = []
        self.received: int | None = None
        self._processes = [self._start() for _ in range(n_workers)]
        self._codes: list[int] = []
        self._n_restarts = n_workers

    def poll(self) -> bool:
        """Look after them: start one again that was killed. Return whether any is at work."""
        for process in [one for one in self._processes if one.poll() is not None]:
            self._processes.remove(process)
            code = process.returncode
            if code < 0 and self.received is None:
                self.deaths.append(-code)
                if self._n_restarts > 0:
                    self._n_restarts -= 1
                    self._processes.append(self._start())
                    continue
            self._codes.append(code)
        return bool(self._processes)

    @property
    def has_failed(self) -> bool:
        """Return whether one has ended by an error of its own, or by a signal, for good."""
        return any(code != 0 for code in self._codes)

    def end(self, number: int) -> None:
        """Pass a signal on: at the first each saves its run and ends, at a second it ends at once."""
        self.received = number
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)

    @contextlib.contextmanager
    def passing_signals_on(self) -> Iterator[None]:
        """Pass on what asks this process to end, instead of ending and leaving them behind."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in _ASKED}

        def catch(number: int, frame: FrameType | None) -> None:
            self.end(number)

        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, catch)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _start(self) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", __name__, str(os.getpid()), str(self._home), str(self._n_workers)]
        with (self._home / LOG).open("ab") as log:
            return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def name_of(number: int) -> str:
    """Return a signal's name."""
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def main(words: list[str]) -> int:
    """Be a worker, and return the exit code: 0, 2 if the study can't go on, 130 after Ctrl+C.

    Args:
        words: the process that has started this one, the study, and how many share the cores with it.
    """
    parent, home, n_workers = words
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != int(parent):  # it had died before
            return 1
    try:
        from velora.cli.tune.worker import work  # torch, which takes seconds

        sys.path.append(os.getcwd())
        logging.basicConfig(level=logging.INFO, format="[%(asctime)s][%(name)s][%(levelname)s] %(message)s")
        work(Path(home), n_workers=int(n_workers))
    except VeloraError as error:
        complain(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
