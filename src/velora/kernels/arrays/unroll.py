"""A network over sequences: the operations of forward and backward, recorded once and replayed many times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from velora.kernels.arrays.layer import Part
from velora.kernels.arrays.namespace import Emit, Namespace, Values
from velora.kernels.arrays.program import Calls, do, do_all
from velora.kernels.arrays.workspace import Form, Memory, Piece
from velora.kernels.plan import Plan


@dataclass(frozen=True, slots=True)
class Wants:
    """Inputs and wanted results of a backward call."""

    d_out: bool = False
    d_states: bool = False
    d_last: bool = False
    parameters: bool = False
    sources: tuple[bool, ...] = ()
    hidden: bool = False


class Unrolled:
    """Run a network over sequences of one form: forward, and then at most once backward."""

    def __init__(self, xp: Namespace, plan: Plan, form: Form, mask: NDArray[Any] | None) -> None:
        self.xp, self.form = xp, form
        self.memory = Memory(xp, plan, form, mask)
        self._forward = Calls()
        self._backward: dict[Wants, tuple[Calls, list[tuple[slice, Values]]]] = {}
        self._d_hidden: list[tuple[slice, Values]] = []
        self._take_down_forward(self._forward)
        self.out = self.memory.outside(self.memory.reader.out)

    def forward(
        self,
        parameters: Values,
        sources: Sequence[Values],
        hidden: Values | None,
        dt: Values | None,
        resets: Values | None,
    ) -> None:
        """Compute ``out``, (S, B, T, K), and the states in memory."""
        with self.xp.quietly():
            self.memory.load(parameters, sources, hidden, dt, resets)
            do_all(self._forward)

    def backward(
        self,
        *,
        d_out: Values | None = None,
        d_states: Values | None = None,
        d_last: Values | None = None,
        gradient: Values | None = None,
        wants_sources: tuple[bool, ...] = (),
        wants_hidden: bool = False,
    ) -> None:
        """Go back through all steps; overwrites what the forward call kept.

        Shapes:
            d_out: (S, B, T, K). d_states: (S, B, T, H). d_last: (S, B, H).
            gradient: (S, P), contiguous, overwritten; ``None`` if not wanted.
        """
        wants = Wants(
            d_out=d_out is not None, d_states=d_states is not None, d_last=d_last is not None,
            parameters=gradient is not None, sources=wants_sources, hidden=wants_hidden,
        )  # fmt: skip
        if wants not in self._backward:
            calls, self._d_hidden = Calls(), []
            self._take_down_backward(calls, wants)
            self._backward[wants] = calls, self._d_hidden
        calls, self._d_hidden = self._backward[wants]
        with self.xp.quietly():
            self.memory.load_gradients(d_out, d_states, d_last)
            do_all(calls)
            if gradient is not None:
                self.memory.packing.unpack(do, gradient)

    def d_source(self, index: int) -> Values:
        """Return the gradient of a source, (S, B, T, features)."""
        return self.memory.outside(self.memory.parts[0].dz[:, self.memory.source_rows(index)])

    def write_d_hidden(self, out: Values) -> None:
        """Write the gradient of the state before the first step, (S, B, H)."""
        if len(self._d_hidden) < len(self.memory.pieces):  # some layers never read it
            do(self.xp.fill, 0.0, out)
        for at, d_hidden in self._d_hidden:
            do(self.xp.copy, d_hidden.swapaxes(0, 1).swapaxes(1, 2), out[..., at])

    # ----------------------------------------------------------------------------------------------------- forward

    def _take_down_forward(self, do: Emit) -> None:
        memory, parts, n_time = self.memory, self.memory.parts, self.memory.extent.n_time
        for part in parts:
            part.prepare(do)
        if memory.first:
            for t in range(n_time):
                for part in parts:
                    part.forward(do, t)
                if t + 1 < n_time:
                    self._carry_mixed(do, t)
        else:
            for part in parts:
                for t in range(n_time):
                    part.forward(do, t)
                    if part.recurs and t + 1 < n_time:
                        memory.keep(do, part.h[t], t + 1, part.old[t + 1])
                        for m in part.memories:
                            memory.keep(do, m.after[t], t + 1, m.before[t + 1])
        memory.reader.forward(do)

    def _carry_mixed(self, do: Emit, t: int) -> None:
        """Let the LSTM read what the layers after it have made of its state."""
        memory, lstm = self.memory, self.memory.lstm
        for piece in memory.pieces[:-1]:
            memory.keep(do, piece.values[t], t + 1, lstm.old[t + 1][piece.at])
        memory.keep(do, lstm.memory[t], t + 1, lstm.before[t + 1])

    # ---------------------------------------------------------------------------------------------------- backward

    def _take_down_backward(self, do: Emit, wants: Wants) -> None:
        memory, parts = self.memory, self.memory.parts
        comes_from_outside = wants.d_states or wants.d_last
        self._is_written = [comes_from_outside] * len(parts)
        if memory.first:
            memory.lstm.d_reveals = [[] for _ in range(memory.extent.n_time)]
        if memory.first and not comes_from_outside:
            for piece in memory.pieces:
                do(self.xp.fill, 0.0, piece.gradient)
            self._is_written = [True] * len(parts)
        for part in () if comes_from_outside else parts:
            for m in part.memories:
                do(self.xp.fill, 0.0, m.d_after)
        if wants.d_out:
            self._begin_at_readout(do, wants)
        elif wants.parameters:
            memory.reader.no_gradient(do)
        for group in [parts] if memory.first else [[part] for part in reversed(parts)]:
            self._go_back(do, group, wants)
        if memory.first and any(wants.sources):
            rows = slice(0, parts[0].n_in)
            both = parts[0].dz[:, rows], parts[1].dz[:, rows]
            do(self.xp.add, *both, both[0])
        for part in parts if wants.parameters else ():
            part.finish(do)

    def _begin_at_readout(self, do: Emit, wants: Wants) -> None:
        memory, written = self.memory, self._is_written
        adds = written[-1]
        if not adds and not memory.is_read[-1]:
            do(self.xp.fill, 0.0, memory.parts[-1].dh)
            adds = written[-1] = True
        memory.reader.backward(do, adds=adds, wants_parameters=wants.parameters)
        for i, is_read in enumerate(memory.is_read):
            written[i] = written[i] or is_read

    def _go_back(self, do: Emit, group: Sequence[Part], wants: Wants) -> None:
        """Go back through the steps of some layers together, the last layer first."""
        memory, n_time = self.memory, self.memory.extent.n_time
        places = [(memory.parts.index(part), part) for part in reversed(group)]
        for i, part in places:
            if not self._is_written[i] and i >= memory.first:
                do(self.xp.fill, 0.0, part.dh)
        for t in reversed(range(n_time)):
            for i, part in places:
                self._step_back(do, i, part, t, wants)
        for i, _ in places:
            if i > memory.first:
                self._is_written[i - 1] = True

    def _step_back(self, do: Emit, i: int, part: Part, t: int, wants: Wants) -> None:
        """Go back through one step of one layer, to the gradients of what it read."""
        memory, n_in = self.memory, part.n_in
        part.backward(do, t)
        is_after_lstm, changes_old = memory.first > 0 and i > 0, part.layer.kind.value.before is not None
        wants_old = part.recurs and (t > 0 or wants.hidden or is_after_lstm or changes_old)
        begin, end = self._wanted_rows(i, part, wants)
        if wants_old:
            begin, end = min(begin, n_in + 1), part.n_read
        if begin >= end:
            return
        reads_below = i > memory.first
        adds = reads_below and self._is_written[i - 1]
        out = part.spare("read", end - begin) if adds else part.dz[t][begin:end]
        part.read_gradient(do, t, begin, end, out)
        if adds:
            below = part.dz[t][:n_in]
            do(self.xp.add, below, out[:n_in], below)
        if wants_old:
            old = out[n_in + 1 - begin :]
            part.old_gradient(do, t, old)
            self._carry_back(do, i, t, old)

    def _wanted_rows(self, i: int, part: Part, wants: Wants) -> tuple[int, int]:
        """Return the input rows whose gradients are wanted, from where to where."""
        if i > self.memory.first:
            return 0, part.n_in
        rows = [self.memory.source_rows(k) for k, is_wanted in enumerate(wants.sources) if is_wanted]
        return (rows[0].start, rows[-1].stop) if rows else (part.n_read, 0)

    def _carry_back(self, do: Emit, i: int, t: int, old: Values) -> None:
        """Add the gradient of an old state to that of the step before, except across a reset."""
        memory = self.memory
        if not memory.first:
            gradients = [*(m.d_before for m in memory.parts[i].memories), old]
            self._onto_step_before(do, t, list(zip(memory.pieces_of[i], gradients, strict=True)))
        elif i > 0:
            memory.lstm.d_reveals[t].append((memory.pieces[i - 1].at, old))
        else:
            states = [(piece, old[piece.at]) for piece in memory.pieces[:-1]]
            self._onto_step_before(do, t, [*states, (memory.pieces[-1], memory.lstm.d_memory)])

    def _onto_step_before(self, do: Emit, t: int, states: list[tuple[Piece, Values]]) -> None:
        for piece, d in states:
            self.memory.keep(do, d, t, d)
            if t > 0:
                do(self.xp.add, piece.gradient[t - 1], d, piece.gradient[t - 1])
            else:
                self._d_hidden.append((piece.at, d))
