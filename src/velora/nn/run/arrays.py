"""Run networks in arrays, forward and backward by explicit calls, with memory that is used again."""

from __future__ import annotations

from collections.abc import Callable, Collection

from torch import Tensor

from velora.kernels.arrays.libraries import namespace
from velora.kernels.arrays.namespace import Values
from velora.kernels.arrays.pool import Pool
from velora.kernels.arrays.program import do, is_recording, program
from velora.kernels.arrays.unroll import Unrolled
from velora.kernels.arrays.workspace import Form
from velora.kernels.plan import Plan
from velora.kernels.unrolls import check_forward, check_gradient
from velora.nn.flat import FlatParameters
from velora.nn.run.network import Outputs


class ArrayNetwork:
    """Run a plan in NumPy, or in PyTorch on any device.

    What a call gives lies in memory of its own; in a program, which runs again with the same memory, a single step's
    results stay where they were computed.

    Args:
        kernel: ``"numpy"`` or ``"torch"``.
    """

    def __init__(self, plan: Plan, flat: FlatParameters, kernel: str) -> None:
        self.plan, self.flat, self.kernel = plan, flat, kernel
        self.has_memory = plan.has_memory
        self.xp = namespace(kernel, flat.values.dtype, flat.values.device)
        self._parameters = self.xp.view(flat.values)
        self._pool, self._mask_version = Pool(self.xp, plan, flat.mask), self._version()

    def _version(self) -> int:
        return 0 if self.flat.mask is None else self.flat.mask._version

    def _unrolled(
        self,
        sources: tuple[Tensor, ...],
        hidden: Tensor | None,
        dt: Tensor | None,
        resets: Tensor | None,
        *,
        keeps: bool,
    ) -> Unrolled:
        if self._mask_version != self._version():  # another wiring was loaded
            self._pool, self._mask_version = Pool(self.xp, self.plan, self.flat.mask), self._version()
        check_forward(self.plan.state_size, self.plan.n_inputs, self.flat.values.dtype, sources, hidden, dt, resets)
        view = self.xp.view
        n_seeds, n_batch, n_time, _ = sources[0].shape
        form = Form(
            n_seeds, n_batch, n_time, tuple(source.shape[3] for source in sources),
            has_hidden=hidden is not None, has_dt=dt is not None, has_resets=resets is not None, keeps=keeps,
        )  # fmt: skip
        unrolled = self._pool.take(form)
        inputs = [None if tensor is None else view(tensor) for tensor in (hidden, dt, resets)]
        unrolled.forward(self._parameters, [view(source) for source in sources], *inputs)
        return unrolled

    def _give_back(self, unrolled: Unrolled) -> None:
        if not is_recording():
            self._pool.give_back(unrolled)

    def run(
        self,
        *sources: Tensor,
        hidden: Tensor | None = None,
        dt: Tensor | None = None,
        resets: Tensor | None = None,
        wants: Collection[str] = ("out",),
    ) -> Outputs:
        """See :class:`velora.nn.run.network.Network`."""
        unrolled = self._unrolled(sources, hidden, dt, resets, keeps=False)
        out, states, last = (name in wants for name in ("out", "states", "last"))
        results = Outputs(
            self._result(unrolled, unrolled.out) if out else None,
            self._states(unrolled) if states else None,
            self._last(unrolled) if last else None,
        )
        self._give_back(unrolled)
        return results

    def vjp(
        self, *sources: Tensor, hidden: Tensor | None = None, dt: Tensor | None = None, resets: Tensor | None = None
    ) -> tuple[Tensor, _Pullback]:
        """See :class:`velora.nn.run.network.Network`."""
        unrolled = self._unrolled(sources, hidden, dt, resets, keeps=True)
        return self._result(unrolled, unrolled.out), _Pullback(self, unrolled)

    def stepper(
        self, source: Tensor, hidden: Tensor, dt: Tensor | None
    ) -> tuple[Tensor, Callable[[tuple[int, ...]], None]]:
        """Prepare to step again and again in the same memory; computes all seeds, and advances those asked for.

        Shapes:
            source: (S, B, 1, features). dt: (S, B, 1); ``None`` is ones. hidden: (S, B, H), advanced in place.
            returns: out (S, B, 1, K), which every step writes to, and what makes a step.
        """
        recorded = program(self.xp)
        with recorded.record():
            unrolled = self._unrolled((source,), hidden, dt, None, keeps=False)
            out = self._result(unrolled, unrolled.out)
            unrolled.memory.write_last(self.xp.view(hidden))

        def step(rows: tuple[int, ...]) -> None:
            if len(rows) == len(hidden):
                recorded.run()
                return
            others = [k for k in range(len(hidden)) if k not in rows]
            before = hidden[others]
            recorded.run()
            hidden[others] = before

        return out, step

    # -------------------------------------------------------------------------------------------- results as tensors

    def _result(self, unrolled: Unrolled, values: Values) -> Tensor:
        """Give values (S, B, T, n) out."""
        if not is_recording() or unrolled.form.n_time > 1:
            own = self._empty(unrolled, values.shape[3])
            do(self.xp.copy, values, own)
            values = own
        return self.xp.tensor(values)

    def _empty(self, unrolled: Unrolled, n_features: int) -> Values:
        """Allocate (S, B, T, n): one step as it is computed, several one after another, so that they can be joined."""
        form = unrolled.form
        if form.n_time > 1:
            return self.xp.empty(form.n_seeds, form.n_batch, form.n_time, n_features)
        return self.xp.empty(n_features, form.n_seeds, form.n_batch).swapaxes(0, 1).swapaxes(1, 2)[:, :, None]

    def _states(self, unrolled: Unrolled) -> Tensor:
        states = self._empty(unrolled, self.plan.state_size)
        unrolled.memory.write_states(states)
        return self.xp.tensor(states)

    def _last(self, unrolled: Unrolled) -> Tensor:
        form = unrolled.form
        last = self.xp.empty(self.plan.state_size, form.n_seeds, form.n_batch).swapaxes(0, 1).swapaxes(1, 2)
        unrolled.memory.write_last(last)
        return self.xp.tensor(last)


class _Pullback:
    def __init__(self, network: ArrayNetwork, unrolled: Unrolled) -> None:
        self._network, self._unrolled = network, unrolled
        self._is_spent = False

    def _take(self, d_out: Tensor) -> Unrolled:
        check_gradient("d_out", d_out, self._unrolled.out, self._network.flat.values.dtype)
        if self._is_spent:
            raise RuntimeError("backward: a kernel keeps its steps for one backward pass only; run forward again")
        self._is_spent = True
        return self._unrolled

    def parameters(self, d_out: Tensor) -> None:
        network, unrolled = self._network, self._take(d_out)
        assert network.flat.gradient is not None
        unrolled.backward(d_out=network.xp.view(d_out), gradient=network.xp.view(network.flat.gradient))
        network._give_back(unrolled)

    def source(self, index: int, d_out: Tensor) -> Tensor:
        network, unrolled = self._network, self._take(d_out)
        wanted = tuple(k == index for k in range(len(unrolled.form.widths)))
        unrolled.backward(d_out=network.xp.view(d_out), wants_sources=wanted)
        gradient = network._result(unrolled, unrolled.d_source(index))
        network._give_back(unrolled)
        return gradient
