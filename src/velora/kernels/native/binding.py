"""The calls of the native kernel, where it is built.

A call's arguments are the 8-byte words of its C struct, in that order: sizes, addresses and floats. C trusts them, so
everything is checked here: calls by their row in :mod:`velora.kernels.backend`, networks by
:func:`velora.kernels.unrolls.check_forward`.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, TypeAlias

import torch
from numpy.typing import NDArray
from torch import Tensor

from velora.core.errors import RecordingError, ShapeError
from velora.kernels.backend import CALLS
from velora.kernels.calls import MOST_TOGETHER, sizes_of
from velora.kernels.generate import NETWORK_CALLS
from velora.kernels.layers import MOST_LAYERS, MOST_TENSORS
from velora.kernels.plan import Plan
from velora.kernels.unrolls import check_forward, check_gradient

extension: ModuleType | None = None
problem: str | None = None
try:
    extension = importlib.import_module("velora.kernels._native")
except ImportError as error:
    problem = str(error)


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


# ------------------------------------------------------------------------------------------------------------- programs


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


def copied(tensor: Tensor) -> Tensor:
    """Lay a tensor out as the kernel needs it; a program can't, since it would copy the values of the recording."""
    if is_recording():
        raise ShapeError(
            f"network: expected features side by side in memory, got strides {tensor.stride()}; a recording can't copy "
            "its inputs, so give it views of the batch, or results of networks and calls"
        )
    return tensor.contiguous()


# ------------------------------------------------------------------------------------------------- unrolls of networks


def is_known(plan: Plan) -> bool:
    """Return whether the native kernel can compute a plan, where it is built."""
    return extension is not None and len(plan.layers) <= MOST_LAYERS


class CompiledPlan:
    """Plan in the native kernel's words; see ``plan`` in ``native.h``."""

    def __init__(self, plan: Plan) -> None:
        assert extension is not None
        read = plan.readout
        words = [plan.n_parameters, len(plan.layers), plan.n_inputs, plan.state_size, int(plan.mixes_memory)]
        words += [read.kind, read.state_at, read.n_in, read.n_out, read.weight, read.bias, int(read.squash)]
        for layer in plan.layers:
            words += [layer.kind.number, layer.n_in, layer.n, layer.state_at, layer.unfolds, *layer.at]
            words += [0] * (MOST_TENSORS - len(layer.at))
        words += [0] * ((MOST_LAYERS - len(plan.layers)) * (5 + MOST_TENSORS))
        self._owner, self.address = extension.plan(tuple(int(word) for word in words))
        self.state_size, self.out_size, self.n_inputs = plan.state_size, read.n_out, plan.n_inputs
        self._spare: deque[Tensor] = deque(maxlen=1)  # whose operations no other thread can come between

    def workspace(self, n_seeds: int, n_batch: int, n_time: int, *, keeps: bool) -> Tensor:
        """Find memory to work in: that of the call before, if it fits, since fresh memory costs as much as the work."""
        assert extension is not None
        size = extension.workspace(self.address, n_batch, n_time, keeps)
        try:
            spare = self._spare.pop()
        except IndexError:
            return numbers(n_seeds, size)
        return spare if spare.shape == (n_seeds, size) else numbers(n_seeds, size)

    def give_back(self, work: Tensor) -> None:
        """Let the next call have it."""
        if not is_recording():
            self._spare.append(work)


def strided(tensor: Tensor) -> tuple[int, int, int, int, int]:
    """Describe (S, B, T, features) memory whose features lie side by side."""
    seed, batch, time, _ = tensor.stride()
    return tensor.data_ptr(), seed, batch, time, tensor.shape[3]


def strided_numbers(tensor: Tensor) -> tuple[int, int, int, int, int]:
    """Describe (S, B, T) memory."""
    return (tensor.data_ptr(), *tensor.stride(), 1)  # type: ignore[return-value]


_NOTHING = (0, 0, 0, 0, 0)


class Unrolled:
    """One forward call: what it gave, and what its backward call needs.

    Shapes:
        parameters: (S, P), contiguous, as ``plan`` lays them out. mask: (S, P) float, or ``None``.
        sources: one or two of (S, B, T, features), features side by side; the network reads them joined.
        hidden: (S, B, H), rows side by side; ``None`` is zeros. dt: (S, B, T); ``None`` is ones.
        resets: (S, B, T), bool or float; ``None`` is never. Strides may be 0.
        out: (S, B, T, K). states: (S, B, T, H). last: (S, B, H).

    Args:
        begins_afresh: every step starts from a state of zeros, whatever ``hidden`` and ``resets`` say.
        last: memory for the last state; it may be that of ``hidden``.
    """

    def __init__(
        self,
        plan: CompiledPlan,
        parameters: Tensor,
        mask: Tensor | None,
        sources: Sequence[Tensor],
        hidden: Tensor | None,
        dt: Tensor | None,
        resets: Tensor | None,
        *,
        keeps: bool,
        wants: Collection[str],
        begins_afresh: bool = False,
        last: Tensor | None = None,
        threads: int = 1,
    ) -> None:
        check_forward(plan.state_size, plan.n_inputs, torch.float32, sources, hidden, dt, resets)
        shape = n_seeds, n_batch, n_time = sources[0].shape[:3]
        h = plan.state_size
        self.out = numbers(*shape, plan.out_size) if "out" in wants else None
        self.states = numbers(*shape, h) if "states" in wants else None
        self.last = numbers(n_seeds, n_batch, h) if "last" in wants else last
        self.work = work = plan.workspace(n_seeds, n_batch, n_time, keeps=keeps)
        first, second = strided(sources[0]), strided(sources[1]) if len(sources) > 1 else _NOTHING
        start = _NOTHING if hidden is None else (hidden.data_ptr(), hidden.stride(0), hidden.stride(1), 0, h)
        times = _NOTHING if dt is None else strided_numbers(dt)
        forgets = (0, 0, 0, 0, 0)
        if resets is not None:
            forgets = (resets.data_ptr(), *resets.stride(), int(resets.dtype == torch.bool))  # type: ignore[assignment]
        self.words = (
            plan.address, parameters.data_ptr(), n_seeds, n_batch, n_time, int(keeps), int(begins_afresh), len(sources),
            *first, *second, *start, *times, *forgets,
            address(mask), work.data_ptr(), address(self.out), address(self.states), address(self.last),
        )  # fmt: skip
        self.plan, self.sources, self.hidden, self.threads = plan, sources, hidden, threads
        self.touched = (plan, parameters, mask, *sources, hidden, dt, resets, work, self.out, self.states, self.last)
        self._is_spent = not keeps
        call("forward", self.words, self.touched, threads=threads)
        if not keeps:
            plan.give_back(work)

    def backward(
        self,
        *,
        d_out: Tensor | None = None,
        d_states: Tensor | None = None,
        d_last: Tensor | None = None,
        gradient: Tensor | None = None,
        wants_sources: Sequence[bool] = (False, False),
        wants_hidden: bool = False,
    ) -> tuple[list[Tensor | None], Tensor | None]:
        """Run backwards through all steps; only once, since it overwrites what the forward call kept.

        Shapes:
            d_out, d_states, d_last: contiguous, as the forward results.
            gradient: (S, P), overwritten; ``None`` if not wanted.
            returns: the gradients of the sources and of ``hidden``, where wanted.
        """
        if self._is_spent:
            raise RuntimeError("backward: the kernel keeps its steps for one backward pass only; run forward again")
        self._is_spent = True
        check_gradient("d_out", d_out, self.out, torch.float32, is_dense=True)
        check_gradient("d_states", d_states, self.states, torch.float32, is_dense=True)
        check_gradient("d_last", d_last, self.last, torch.float32, is_dense=True)
        d_sources = [numbers(*s.shape) if w else None for s, w in zip(self.sources, wants_sources, strict=False)]
        d_hidden = None
        if wants_hidden:
            shape = self.sources[0].shape
            d_hidden = numbers(shape[0], shape[1], self.plan.state_size)
        second = d_sources[1] if len(d_sources) > 1 else None
        words = (
            *self.words, address(d_out), address(d_states), address(d_last), address(gradient),
            address(d_sources[0]), address(second), address(d_hidden),
        )  # fmt: skip
        touched = (*self.touched, d_out, d_states, d_last, gradient, *d_sources, d_hidden)
        call("backward", words, touched, threads=self.threads)
        self.plan.give_back(self.work)
        return d_sources, d_hidden


def useful_threads(n_numbers: int) -> int:
    """Choose the threads of one call on so many products of numbers: waking one costs more than a small call."""
    return torch.get_num_threads() if n_numbers > 1_000_000 else 1
