"""Networks run in the native kernel, one call for a whole sequence."""

from __future__ import annotations

from collections.abc import Callable, Collection

from torch import Tensor

from velora.kernels.native.binding import Program
from velora.kernels.native.unroll import CompiledPlan, Unrolled, copied
from velora.kernels.plan import Plan
from velora.nn.flat import FlatParameters
from velora.nn.run.network import Outputs, Pullback


class NativeNetwork:
    """Run in the native kernel, one call for a whole sequence."""

    kernel = "native"

    def __init__(self, plan: Plan, flat: FlatParameters) -> None:
        self.plan, self.flat = CompiledPlan(plan), flat
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
    ) -> Unrolled:
        sources = tuple(s if s.stride(-1) == 1 else copied(s) for s in sources)
        if hidden is not None and hidden.stride(-1) != 1:
            hidden = copied(hidden)
        return Unrolled(
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
        program = Program()
        with program.record():  # the last state may lie over the first: a kernel reads before it writes
            done = Unrolled(
                self.plan, self.flat.values, self.flat.mask, (source,), hidden, dt, None,
                keeps=False, wants=("out",), last=hidden,
            )  # fmt: skip
        assert done.out is not None
        return done.out.zero_(), program.run


class _NativePullback:
    def __init__(self, done: Unrolled, flat: FlatParameters) -> None:
        self._done, self._flat = done, flat

    def parameters(self, d_out: Tensor) -> None:
        self._done.backward(d_out=d_out, gradient=self._flat.gradient)

    def source(self, index: int, d_out: Tensor) -> Tensor:
        d_sources, _ = self._done.backward(d_out=d_out, wants_sources=(index == 0, index == 1))
        wanted = d_sources[index]
        assert wanted is not None
        return wanted
