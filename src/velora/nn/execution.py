"""Run networks forward and backward by explicit calls: natively, in arrays, or in PyTorch through its autograd."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from velora.core.errors import ShapeError
from velora.nn.arrays import ArrayNetwork
from velora.nn.flat import FlatParameters
from velora.nn.outputs import Outputs
from velora.ops import kernels
from velora.ops.plan import Plan


class Unrollable(Protocol):
    """A network that reads one or two sequences side by side.

    Attributes:
        has_memory: whether a step's output depends on the steps before.
    """

    has_memory: bool

    def unroll(
        self, sources: tuple[Tensor, ...], hidden: Tensor | None, dt: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return out (S, B, T, K), states (S, B, T, H) and last (S, B, H); a network without memory gives no states."""
        ...

    def plan(self) -> Plan | None:
        """Describe itself to what computes it; ``None`` if it can't be described."""
        ...


class Pullback(Protocol):
    """Carry a gradient at a network's output back; once for each call of ``vjp``."""

    def parameters(self, d_out: Tensor) -> None:
        """Write the gradient of the parameters to the network's flat gradient. ``d_out``: (S, B, T, K)."""
        ...

    def source(self, index: int, d_out: Tensor) -> Tensor:
        """Return the gradient of one source, (S, B, T, features)."""
        ...


class Network(Protocol):
    """A network as an update uses it.

    Shapes:
        sources: each (S, B, T, features). hidden: (S, B, H). dt: (S, B, T). resets: (S, B, T), 1 where an episode
            begins.

    Attributes:
        kernel: what computes: ``"native"``, ``"numpy"``, ``"torch"``, or ``"autograd"``, PyTorch with its autograd.
        has_memory: whether a step's output depends on the steps before.
    """

    kernel: str
    flat: FlatParameters
    has_memory: bool

    def run(
        self,
        *sources: Tensor,
        hidden: Tensor | None = None,
        dt: Tensor | None = None,
        resets: Tensor | None = None,
        wants: Collection[str] = ("out",),
    ) -> Outputs:
        """Compute ``out``, ``states`` and ``last``, those that are wanted, without gradients."""
        ...

    def vjp(
        self, *sources: Tensor, hidden: Tensor | None = None, dt: Tensor | None = None, resets: Tensor | None = None
    ) -> tuple[Tensor, Pullback]:
        """Compute the output (S, B, T, K), and what carries a gradient back from it."""
        ...

    def stepper(
        self, source: Tensor, hidden: Tensor, dt: Tensor | None
    ) -> tuple[Tensor, Callable[[tuple[int, ...]], None]]:
        """Prepare to step again and again in the same memory.

        Shapes:
            source: (S, B, 1, features). dt: (S, B, 1); ``None`` is ones. hidden: (S, B, H), advanced in place.
            returns: out (S, B, 1, K), which every step writes to, and what makes a step for the seeds at the positions
                that it is given; out of a seed that never stepped is finite, whatever it is.
        """
        ...


def make_network(module: Unrollable, flat: FlatParameters, kernel: str) -> Network:
    """Choose how to run a network: as ``kernel`` says, where that can, and through autograd what has no plan."""
    values = flat.values
    plan = module.plan() if values.dtype in (torch.float32, torch.float64) else None
    if plan is None:
        return TorchNetwork(module, flat)
    if kernel == "native" and values.dtype == torch.float32 and kernels.is_known(plan):
        return NativeNetwork(plan, flat)
    return ArrayNetwork(plan, flat, "numpy" if kernel == "native" else kernel)


# ------------------------------------------------------------------------------------------------------------- native


class NativeNetwork:
    """Run in the native kernel, one call for a whole sequence."""

    kernel = "native"

    def __init__(self, plan: Plan, flat: FlatParameters) -> None:
        self.plan, self.flat = kernels.CompiledPlan(plan), flat
        self.has_memory = plan.has_memory

    def _unrolled(
        self,
        sources: tuple[Tensor, ...],
        hidden: Tensor | None,
        dt: Tensor | None,
        resets: Tensor | None,
        *,
        keeps: bool,
        wants: Collection[str],
    ) -> kernels.Unrolled:
        sources = tuple(s if s.stride(3) == 1 else kernels.copied(s) for s in sources)
        if hidden is not None and hidden.stride(2) != 1:
            hidden = kernels.copied(hidden)
        return kernels.Unrolled(
            self.plan, self.flat.values, self.flat.mask, sources, hidden, dt, resets,
            keeps=keeps, wants=wants, begins_afresh=not self.has_memory,
        )  # fmt: skip

    def run(
        self,
        *sources: Tensor,
        hidden: Tensor | None = None,
        dt: Tensor | None = None,
        resets: Tensor | None = None,
        wants: Collection[str] = ("out",),
    ) -> Outputs:
        """See :class:`Network`."""
        done = self._unrolled(sources, hidden, dt, resets, keeps=False, wants=wants)
        return Outputs(done.out, done.states, done.last)

    def vjp(
        self, *sources: Tensor, hidden: Tensor | None = None, dt: Tensor | None = None, resets: Tensor | None = None
    ) -> tuple[Tensor, Pullback]:
        """See :class:`Network`."""
        done = self._unrolled(sources, hidden, dt, resets, keeps=True, wants=("out",))
        assert done.out is not None
        return done.out, _NativePullback(done, self.flat)

    def stepper(
        self, source: Tensor, hidden: Tensor, dt: Tensor | None
    ) -> tuple[Tensor, Callable[[tuple[int, ...]], None]]:
        """See :class:`Network`."""
        program = kernels.Program()
        with program.record():  # the last state may lie over the first: a kernel reads before it writes
            done = kernels.Unrolled(
                self.plan, self.flat.values, self.flat.mask, (source,), hidden, dt, None,
                keeps=False, wants=("out",), last=hidden,
            )  # fmt: skip
        assert done.out is not None
        return done.out.zero_(), program.run


class _NativePullback:
    def __init__(self, done: kernels.Unrolled, flat: FlatParameters) -> None:
        self._done, self._flat = done, flat

    def parameters(self, d_out: Tensor) -> None:
        self._done.backward(d_out=d_out, gradient=self._flat.gradient)

    def source(self, index: int, d_out: Tensor) -> Tensor:
        d_sources, _ = self._done.backward(d_out=d_out, wants_sources=(index == 0, index == 1))
        wanted = d_sources[index]
        assert wanted is not None
        return wanted


# -------------------------------------------------------------------------------------------------------------- torch


class TorchNetwork:
    """Run a module that has no plan in PyTorch, and backward through its autograd."""

    kernel = "autograd"

    def __init__(self, module: Unrollable, flat: FlatParameters) -> None:
        self.module, self.flat, self.has_memory = module, flat, module.has_memory
        self._parameters = list(flat.module.parameters())

    def run(
        self,
        *sources: Tensor,
        hidden: Tensor | None = None,
        dt: Tensor | None = None,
        resets: Tensor | None = None,
        wants: Collection[str] = ("out",),
    ) -> Outputs:
        """See :class:`Network`."""
        with torch.no_grad():
            return Outputs(*self.module.unroll(sources, hidden, dt, _as_bool(resets)))

    def vjp(
        self, *sources: Tensor, hidden: Tensor | None = None, dt: Tensor | None = None, resets: Tensor | None = None
    ) -> tuple[Tensor, Pullback]:
        """See :class:`Network`."""
        leaves = tuple(source.detach().requires_grad_(source.is_floating_point()) for source in sources)
        with torch.enable_grad():
            out, _, _ = self.module.unroll(leaves, hidden, dt, _as_bool(resets))
        return out.detach(), _TorchPullback(out, leaves, self._parameters, self.flat)

    def stepper(
        self, source: Tensor, hidden: Tensor, dt: Tensor | None
    ) -> tuple[Tensor, Callable[[tuple[int, ...]], None]]:
        """See :class:`Network`; computes all seeds, and advances those that are asked for."""
        first = self.run(source, hidden=hidden, dt=dt).out
        assert first is not None
        out = torch.empty_like(first)

        def step(rows: tuple[int, ...]) -> None:
            done = self.run(source, hidden=hidden, dt=dt, wants=("out", "last"))
            assert done.out is not None
            assert done.last is not None
            out.copy_(done.out)
            where: Any = ... if len(rows) == len(hidden) else list(rows)
            hidden[where] = done.last[where]

        return out, step


class _TorchPullback:
    def __init__(
        self, out: Tensor, leaves: tuple[Tensor, ...], parameters: list[torch.nn.Parameter], flat: FlatParameters
    ) -> None:
        self._out, self._leaves, self._parameters, self._flat = out, leaves, parameters, flat

    def parameters(self, d_out: Tensor) -> None:
        write_gradient(self._out, d_out, self._parameters, self._flat)

    def source(self, index: int, d_out: Tensor) -> Tensor:
        return torch.autograd.grad(self._out, self._leaves[index], d_out)[0]


def write_gradient(out: Tensor, d_out: Tensor, parameters: Sequence[torch.nn.Parameter], flat: FlatParameters) -> None:
    """Ask autograd for the gradient of a network's parameters, and write it to its flat gradient."""
    assert flat.gradient is not None
    parts = torch.autograd.grad(out, parameters, d_out, allow_unused=True)
    filled = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, parts, strict=True)]
    torch.cat([g.flatten(1) for g in filled], 1, out=flat.gradient)


def _as_bool(resets: Tensor | None) -> Tensor | None:
    return resets if resets is None or resets.dtype == torch.bool else resets > 0.5


def joined(sources: tuple[Tensor, ...]) -> Tensor:
    """Put sources side by side.

    Raises:
        ShapeError: if they differ in seeds, batch or time.
    """
    if len({source.shape[:3] for source in sources}) != 1:
        raise ShapeError(f"sources: expected one shape up to the features, got {[tuple(s.shape) for s in sources]}")
    return sources[0] if len(sources) == 1 else torch.cat(sources, 3)
