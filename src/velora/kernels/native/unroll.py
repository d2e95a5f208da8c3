"""Unrolls of a network in the native kernel, where it is built: forward, and backward through the same steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from velora.core.errors import ShapeError
from velora.kernels.layers import MOST_LAYERS, MOST_TENSORS
from velora.kernels.native import binding
from velora.kernels.native.binding import address, call, is_recording, numbers, strided_numbers
from velora.kernels.plan import Plan
from velora.kernels.unrolls import check_forward, check_gradient


def copied(tensor: Tensor) -> Tensor:
    """Lay a tensor out as the kernel needs it; a program can't, since it would copy the values of the recording."""
    if is_recording():
        raise ShapeError(
            f"network: expected features side by side in memory, got strides {tensor.stride()}; a recording can't copy "
            "its inputs, so give it views of the batch, or results of networks and calls"
        )
    return tensor.contiguous()


def is_known(plan: Plan) -> bool:
    """Return whether the native kernel can compute a plan, where it is built."""
    return binding.extension is not None and len(plan.layers) <= MOST_LAYERS


class CompiledPlan:
    """Plan in the native kernel's words; see ``plan`` in ``native.h``."""

    def __init__(self, plan: Plan) -> None:
        assert binding.extension is not None
        read = plan.readout
        words = [plan.n_parameters, len(plan.layers), plan.n_inputs, plan.state_size, int(plan.mixes_memory)]
        words += [read.kind, read.state_at, read.n_in, read.n_out, read.weight, read.bias, int(read.squash)]
        for layer in plan.layers:
            words += [layer.kind.number, layer.n_in, layer.n, layer.state_at, layer.unfolds, *layer.at]
            words += [0] * (MOST_TENSORS - len(layer.at))
        words += [0] * ((MOST_LAYERS - len(plan.layers)) * (5 + MOST_TENSORS))
        self._owner, self.address = binding.extension.plan(tuple(int(word) for word in words))
        self.state_size, self.out_size, self.n_inputs = plan.state_size, read.n_out, plan.n_inputs
        self._spare: deque[Tensor] = deque(maxlen=1)  # whose operations no other thread can come between

    def workspace(self, n_seeds: int, n_batch: int, n_time: int, *, keeps: bool) -> Tensor:
        """Find memory to work in: that of the call before, if it fits, since fresh memory costs as much as the work."""
        assert binding.extension is not None
        size = binding.extension.workspace(self.address, n_batch, n_time, keeps)
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
