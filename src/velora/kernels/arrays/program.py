"""Lists of operations on memory that stays where it is, made once and run any number of times."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

from velora.core.errors import RecordingError
from velora.kernels.arrays.namespace import Namespace, Operation


class Calls(list[partial[object]]):
    """Operations in the order in which they are to be made; calling the list adds one."""

    def __call__(self, operation: Operation, *arguments: Any) -> None:
        """Add an operation."""
        self.append(partial(operation, *arguments))

    def run(self) -> None:
        """Make them all."""
        for call in self:
            call()


class Program:
    """Operations of one update, recorded once and replayed with the same memory, as a CUDA graph is.

    A recording notes the operations of its own thread; others go on making theirs.

    Args:
        quietly: makes the context that they run in.
    """

    def __init__(self, quietly: Any) -> None:
        self.calls = Calls()
        self._quietly = quietly

    @contextlib.contextmanager
    def record(self) -> Iterator[None]:
        """Record the operations inside a ``with``, without making them.

        Raises:
            RecordingError: if this thread records a program already.
        """
        if _recorder.calls is not None:
            raise RecordingError("record: this thread records a program already; end that recording first")
        _recorder.calls = self.calls
        try:
            yield
        finally:
            _recorder.calls = None

    def run(self, seeds: tuple[int, ...] = ()) -> None:
        """Make all operations, for all seeds at once, whichever are named."""
        with self._quietly():
            self.calls.run()

    def start(self, seeds: tuple[int, ...], threads: int) -> None:
        """Do nothing: :meth:`wait` makes the operations, on the thread that calls it."""

    def wait(self) -> None:
        """Make all operations."""
        self.run()


class CapturedProgram(Program):
    """Capture the operations as a CUDA graph, which starts hundreds of them in the time of one.

    The first run makes them one by one, since libraries prepare themselves in it, which can't be captured.

    Args:
        quietly: makes the context that they run in.
        device: where they run.
    """

    def __init__(self, quietly: Any, device: torch.device) -> None:
        super().__init__(quietly)
        self._device = device
        self._graph: torch.cuda.CUDAGraph | None = None
        self._has_run = False

    def run(self, seeds: tuple[int, ...] = ()) -> None:
        """Make all operations, for all seeds at once, whichever are named; nothing waits for the device."""
        if not self._has_run:
            self._has_run = True
            super().run()
            return
        if self._graph is None:
            graph = torch.cuda.CUDAGraph()
            # By default it would be on the device that was captured first.
            stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
            with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):  # others may save meanwhile
                super().run()
            self._graph = graph
        self._graph.replay()

    def start(self, seeds: tuple[int, ...], threads: int) -> None:
        """Send all operations to the device, which makes them while the host goes on."""
        self.run(seeds)

    def wait(self) -> None:
        """Do nothing: whatever reads the results comes after them on the device."""


def program(xp: Namespace) -> Program:
    """Make a program of a library's operations."""
    return Program(xp.quietly) if xp.cuda is None else CapturedProgram(xp.quietly, xp.cuda)


class _Recorder(threading.local):
    """The operations that this thread records, if any."""

    calls: Calls | None = None


_recorder = _Recorder()


def do(operation: Operation, *arguments: Any) -> None:
    """Make an operation, or note it where this thread records a program."""
    calls = _recorder.calls
    if calls is None:
        operation(*arguments)
    else:
        calls(operation, *arguments)


def do_all(calls: Calls) -> None:
    """Make or note several."""
    recorded = _recorder.calls
    if recorded is None:
        calls.run()
    else:
        recorded.extend(calls)


def is_recording() -> bool:
    """Return whether operations of this thread are recorded instead of made."""
    return _recorder.calls is not None
