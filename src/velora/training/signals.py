"""Let a run save, or save and end in order, when it is asked to from outside."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

log = logging.getLogger(__name__)


def _known(*names: str) -> tuple[signal.Signals, ...]:
    """Return those of the signals that this system has; Windows has few."""
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))


SAVING = _known("SIGUSR1")
"""Signals at which a run is saved and goes on."""
ENDING = _known("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR2", "SIGXCPU")
"""Signals at which a run is saved and ends."""
AT_ONCE = _known("SIGINT", "SIGTERM", "SIGQUIT")
"""Signals that end a run at once when it is ending already. The others come more than once by themselves: SIGXCPU every
second, SIGHUP from shell and system."""


class GoingOn:
    """A handler under which a signal ends nothing, whatever it does elsewhere: a run is saved, and goes on.

    Args:
        handler: what the program does about the signal; it is called once the run is saved.
    """

    def __init__(self, handler: Callable[[int, FrameType | None], object]) -> None:
        self._handler = handler

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Call the program's handler."""
        self._handler(number, frame)


class PassedOn:
    """Calls of the handlers that the program had for signals that save, put off until a step has ended.

    Such a handler may end the process, as that of a cluster's job queue does, and in the middle of an update a run
    can't be saved.

    Attributes:
        error: what a handler raised; it is raised again once the run is saved.
    """

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self._calls: list[tuple[str, Callable[[], object]]] = []

    def add(self, name: str, call: Callable[[], object]) -> None:
        """Put off the call of a handler."""
        self._calls.append((name, call))

    @property
    def is_due(self) -> bool:
        """Whether a call is put off."""
        return bool(self._calls)

    def do(self, end: Callable[[str], None]) -> None:
        """Make the calls that were put off, up to one that raises; ``end`` is told its signal, so that the run ends."""
        while self._calls and self.error is None:
            name, call = self._calls.pop(0)
            try:
                call()
            except BaseException as error:  # noqa: BLE001 - raised again at the end of the run, which is saved before
                self.error = error
                end(name)


class _Caught:
    """What came while a run lives, and the handlers that the program had before.

    Attributes:
        received: the signals that end the run, in the order of their first arrival.
    """

    def __init__(self, save: Callable[[str], None], end: Callable[[str], None], passed_on: PassedOn) -> None:
        self._save, self._end, self._passed_on = save, end, passed_on
        found = {number: signal.getsignal(number) for number in (*SAVING, *ENDING)}
        self._before = {number: handler for number, handler in found.items() if handler not in (None, signal.SIG_IGN)}
        self.received: list[int] = []

    def begin(self) -> None:
        """Take the place of the handlers; a signal that is ignored stays so."""
        for number in self._before:
            signal.signal(number, self._catch_save if self._saves(number) else self._catch_end)

    def end(self) -> None:
        """Put the handlers back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _saves(self, number: int) -> bool:
        return number in SAVING or isinstance(self._before[signal.Signals(number)], GoingOn)

    def _catch_end(self, number: int, frame: FrameType | None) -> None:
        for other, handler in self._before.items():
            later = self._catch_later if callable(handler) else signal.SIG_IGN
            signal.signal(other, handler if other in AT_ONCE else later)
        self.received.append(number)
        self._end(_name(number))
        others = " or ".join(_name(other) for other in AT_ONCE if other in self._before and not self._saves(other))
        _say("received %s: the run is saved after this step, and ends; %s ends it at once", number, others)

    def _catch_later(self, number: int, frame: FrameType | None) -> None:
        if number not in self.received:
            self.received.append(number)

    def _catch_save(self, number: int, frame: FrameType | None) -> None:
        self._save(_name(number))
        _say("received %s: the run is saved after this step, and goes on", number)
        if callable(handler := self._before[signal.Signals(number)]):
            self._passed_on.add(_name(number), lambda: handler(number, frame))


@contextmanager
def on_signals(*, save: Callable[[str], None], end: Callable[[str], None]) -> Iterator[PassedOn]:
    """Turn SIGUSR1 into ``save(name)``, and the first of :data:`ENDING` into ``end(name)``; then that takes its course.

    A signal whose handler is a :class:`GoingOn` saves too.

    The loop ends after the step it is in, the run is saved, and on leaving this block the signal is raised again under
    the handlers that were there before: SIGINT becomes ``KeyboardInterrupt``, SIGTERM ends the process. Meanwhile a
    signal of :data:`AT_ONCE` acts at once. The others are ignored, unless the program has a handler of its own for one:
    then that too is raised again, after the first. Signals that were ignored stay so, as SIGHUP is under nohup.

    A handler that the program had for a signal that saves is called when the block's code calls :meth:`PassedOn.do`.

    Python allows handlers in the main thread only; elsewhere this does nothing.
    """
    passed_on = PassedOn()
    if threading.current_thread() is not threading.main_thread():
        yield passed_on
        return
    caught = _Caught(save, end, passed_on)
    caught.begin()
    try:
        yield passed_on
    finally:
        caught.end()
    passed_on.do(end)
    if passed_on.error is not None:
        raise passed_on.error
    for one in caught.received:
        signal.raise_signal(one)


def _name(number: int) -> str:
    return signal.Signals(number).name


def _say(text: str, number: int, *more: str) -> None:
    with suppress(RuntimeError):  # the signal came while this very thread was writing a line
        log.warning(text, _name(number), *more)
