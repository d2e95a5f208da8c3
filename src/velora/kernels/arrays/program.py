"""Lists of operations on memory that stays where it is, made once and run any number of times."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

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
    """Note the operations of one update, and make them any number of times with the same memory, as a CUDA graph does.

    Args:
        quietly: makes the context that they run in.
    """

    _recording: Program | None = None
    _lock = threading.Lock()

    def __init__(self, quietly: Any) -> None:
        self.calls = Calls()
        self._quietly = quietly

    @contextlib.contextmanager
    def record(self) -> Iterator[None]:
        """Note the operations inside a ``with``, without making them."""
        with Program._lock:
            Program._recording = self
            try:
                yield
            finally:
                Program._recording = None

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


def do(operation: Operation, *arguments: Any) -> None:
    """Make an operation, or note it where a program is being recorded."""
    if Program._recording is None:
        operation(*arguments)
    else:
        Program._recording.calls(operation, *arguments)


def do_all(calls: Calls) -> None:
    """Make or note several."""
    if Program._recording is None:
        calls.run()
    else:
        Program._recording.calls.extend(calls)


def is_recording() -> bool:
    """Tell whether operations are noted instead of made."""
    return Program._recording is not None
