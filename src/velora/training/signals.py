"""Let a run end in order when it is asked to stop from outside."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

CAUGHT = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # Windows has no SIGHUP


@contextmanager
def stop_on_signals(stop: Callable[[str], None]) -> Iterator[None]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into ``stop(name)``; then let it take its usual course.

    The loop ends after the step it is in, the run is saved, and on leaving this block the signal is raised again under
    the handlers that were there before: SIGINT becomes ``KeyboardInterrupt``, SIGTERM ends the process. A second
    signal acts at once. Python allows handlers in the main thread only; elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    before = {number: signal.getsignal(number) for number in CAUGHT}

    def restore() -> None:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)

    def catch(number: int, frame: FrameType | None) -> None:
        restore()
        received.append(number)
        stop(signal.Signals(number).name)

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # nohup asks for SIGHUP to be ignored
            signal.signal(number, catch)
    try:
        yield
    finally:
        restore()
    if received:
        signal.raise_signal(received[0])
