"""The calls of the native kernel, where it is built.

A call's arguments are the 8-byte words of its C struct, in that order: sizes, addresses and floats. C trusts them, so
everything is checked before: calls here by their row in :mod:`velora.kernels.backend`, networks in
:mod:`velora.kernels.native.unroll`.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, TypeAlias

import torch
from numpy.typing import NDArray
from torch import Tensor

from velora.core.errors import RecordingError
from velora.kernels.backend import CALLS
from velora.kernels.calls import MOST_TOGETHER, sizes_of
from velora.kernels.generate import NETWORK_CALLS, digest


def _load() -> tuple[ModuleType | None, str | None]:
    """Import what was compiled, or say why that can't be used."""
    try:
        built = importlib.import_module("velora.kernels._native")
    except ImportError as error:
        return None, str(error)
    if not hasattr(built, "tables_digest") or built.tables_digest() != digest():
        return None, "it was built from other tables than those of velora.kernels"
    return built, None


extension, problem = _load()

Word: TypeAlias = int | float
_CPU = torch.device("cpu")


def address(tensor: Tensor | NDArray[Any] | None) -> int:
    """Return where a tensor or an array lies; 0 for none."""
    if tensor is None:
        return 0
    return tensor.data_ptr() if isinstance(tensor, Tensor) else tensor.ctypes.data


def numbers(*shape: int) -> Tensor:
    """Allocate what the native kernel computes with, float32 on the CPU, whatever PyTorch's defaults are."""
    return torch.empty(*shape, dtype=torch.float32, device=_CPU)


class Program:
    """Calls of one update, recorded once and replayed with the same memory, as a CUDA graph is.

    Seeds share nothing, so that each runs through the whole program by itself. A thread that finds no seed to begin
    with takes tasks of the others' calls; any number of threads comes to the same results. Everything that the calls
    read or write is kept alive with the program. A recording notes the calls of its own thread; others go on making
    theirs.
    """

    def __init__(self) -> None:
        self._kept: list[Any] = []
        self._calls: Any = None
        self._waiting: tuple[int, ...] | None = None
        self.n_calls = 0

    @contextlib.contextmanager
    def record(self) -> Iterator[None]:
        """Record the calls inside a ``with``, without making them.

        Raises:
            RecordingError: if this thread records a program already.
        """
        assert extension is not None
        if _recorder.program is not None:
            raise RecordingError("record: this thread records a program already; end that recording first")
        self._calls = extension.record()
        _recorder.program = self
        try:
            yield
        finally:
            _recorder.program = None
            self.n_calls = extension.finish(self._calls)

    def keep(self, tensors: Sequence[Any]) -> None:
        """Keep these alive."""
        self._kept.extend(tensors)

    def run(self, seeds: tuple[int, ...]) -> None:
        """Make all calls, for these positions of the seed axis."""
        assert extension is not None
        extension.start(self._calls, seeds, 1)

    def start(self, seeds: tuple[int, ...], threads: int) -> None:
        """Begin to make all calls, on other threads than this one if there are to be more than one.

        Until :meth:`wait` returns, nothing may be read or written that the program uses.
        """
        if threads > 1:
            assert extension is not None
            extension.start(self._calls, seeds, threads)
        else:
            self._waiting = seeds

    def wait(self) -> None:
        """Lend a hand, and return when all calls have been made."""
        assert extension is not None
        if self._waiting is None:
            extension.wait(self._calls)
        else:
            waiting, self._waiting = self._waiting, None
            self.run(waiting)


class _Recorder(threading.local):
    """The program that this thread records, if any."""

    program: Program | None = None


_recorder = _Recorder()

KINDS = {name: number for number, name in enumerate((*NETWORK_CALLS, *CALLS))}
"""The numbers of the calls in C."""


def call(name: str, words: Sequence[Word], touched: Sequence[Any], *, threads: int = 1) -> None:
    """Make or record one call; ``touched`` is everything whose memory it uses."""
    assert extension is not None
    program = _recorder.program
    if program is None:
        extension.call(None, threads, KINDS[name], *words)
    else:
        extension.call(program._calls, threads, KINDS[name], *words)
        program.keep(touched)


def run(name: str, given: Mapping[str, Any]) -> list[Any]:
    """Check a call by its row, allocate what it writes, and make or record it.

    Raises:
        ShapeError: if a tensor has another shape, type, device or layout than the row says.
    """
    row = CALLS[name]
    sizes, middle = row.check(given)
    words: list[Word] = [*sizes_of(row, sizes, middle), *(int(given[count]) for count in row.counts)]
    made: list[Any] = []
    touched: list[Any] = []
    n_together = 1
    for key, field in row.fields.items():
        if field.use == "writes":
            shape = field.sizes(sizes, middle)
            tensors = [numbers(*shape) for _ in range(n_together if field.together else 1)]
            made.append(tensors if field.together else tensors[0])
        else:
            tensors = list(given[key]) if field.together else [given[key]]
            n_together = len(tensors) if field.together else n_together
        touched += tensors
        if field.any_strides:
            words += strided_numbers(tensors[0])
        elif field.together:
            words += [len(tensors), *map(address, tensors), *[0] * (MOST_TOGETHER - len(tensors))]
        else:
            words.append(address(tensors[0]))
    call(name, [*words, *(float(given[number]) for number in row.numbers)], touched)
    return made


def is_recording() -> bool:
    """Return whether calls of this thread are recorded instead of made."""
    return _recorder.program is not None


def strided_numbers(tensor: Tensor) -> tuple[int, int, int, int, int]:
    """Describe (S, B, T) memory."""
    return (tensor.data_ptr(), *tensor.stride(), 1)  # type: ignore[return-value]
