"""The memory of one call: what layers read and write, laid out so that nothing has to be copied between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from numpy.typing import NDArray

from velora.kernels.arrays import cfc, dense, gated, ltc  # noqa: F401 (their layers enter the table)
from velora.kernels.arrays.layer import LAYERS, Extent, Part
from velora.kernels.arrays.lstm import LSTM
from velora.kernels.arrays.namespace import Emit, Namespace, Values
from velora.kernels.arrays.packing import Packing
from velora.kernels.arrays.program import do
from velora.kernels.arrays.readout import Reader
from velora.kernels.plan import Plan


@dataclass(frozen=True, slots=True)
class Form:
    """Form of a call; calls of one form can use one memory.

    Attributes:
        widths: features of each source.
        keeps: whether a backward call follows.
    """

    n_seeds: int
    n_batch: int
    n_time: int
    widths: tuple[int, ...]
    has_hidden: bool
    has_dt: bool
    has_resets: bool
    keeps: bool


class Piece(NamedTuple):
    """A part of the state.

    Shapes:
        values, gradient: (T, n, S, B); there are no gradients without a backward call.
    """

    at: slice
    values: Values
    gradient: Values


class Memory:
    """Rows of a network, (T, rows, S, B), into which a call loads its inputs.

    For each layer the rows are its input, a row of ones (for the bias) and its old state, and then its new state as the
    input of the next layer. So a layer is one product, and its result is where it will be read. Without memory there is
    no old state, and all steps are one.

    Shapes:
        mask: (S, P) or ``None``. Everything outside is (S, B, T, ...), with any strides.
    """

    def __init__(self, xp: Namespace, plan: Plan, form: Form, mask: NDArray[Any] | None) -> None:
        self.xp, self.plan, self.form = xp, plan, form
        self.first = int(plan.mixes_memory)  # of the layers after the LSTM, if there is one
        can_remember = plan.has_memory and any(layer.kind.has_state for layer in plan.layers)
        self.remembers = can_remember and (form.n_time > 1 or form.has_hidden)
        self._is_folded = form.n_time > 1 and not can_remember
        batch, time = (form.n_batch * form.n_time, 1) if self._is_folded else (form.n_batch, form.n_time)
        self.extent = Extent(form.n_seeds, batch, time, form.keeps, form.has_dt)
        self.packing = Packing(xp, form.n_seeds, plan.n_parameters, mask)
        self.parts: list[Part] = []
        begins = [0]
        for i, layer in enumerate(plan.layers):
            recurs = layer.kind.has_state and (self.remembers or (self.first > 0 and i > 0))
            self.parts.append(LAYERS[layer.kind](xp, layer, self.extent, self.packing, recurs=recurs))
            begins.append(begins[i] + self.parts[i].n_read)
        state: list[int] = []  # the row of each number of the state, none of a memory, which nothing reads
        for i, part in list(enumerate(self.parts))[self.first :]:
            state += [-1] * (part.n * len(part.memories)) + [begins[i + 1] + k for k in range(part.n)]
        read = state[plan.readout.state_at : plan.readout.state_at + plan.readout.n_in]
        self.reader = Reader(xp, plan.readout, self.extent, self.packing, [*read, read[-1] + 1])
        self.packing.finish(keeps=form.keeps)
        self._allocate(begins)
        self.is_read = [
            set(range(begins[i + 1], begins[i + 1] + part.n)) <= set(range(read[0], read[-1] + 1))
            for i, part in enumerate(self.parts)
        ]

    def _allocate(self, begins: list[int]) -> None:
        xp, e, form, last = self.xp, self.extent, self.form, self.parts[-1]
        shape = e.n_time, begins[-1] + last.n + 1, e.n_seeds, e.n_batch
        z, dz = xp.zeros(*shape), xp.zeros(*shape) if e.keeps else None
        # Times and resets once for every neuron: an operation over whole rows is several times faster than row by row.
        rows = e.n_time, max(part.n for part in self.parts), e.n_seeds, e.n_batch
        self._elapsed = xp.zeros(*rows) if form.has_dt else None
        self._hidden = xp.zeros(self.plan.state_size, e.n_seeds, e.n_batch)
        self._resets = xp.zeros(*rows) if form.has_resets and self.remembers else None
        for i, part in enumerate(self.parts):
            own, after = slice(begins[i], begins[i + 1]), slice(begins[i + 1], begins[i + 1] + part.n)
            part.elapsed = None if self._elapsed is None else self._elapsed[:, : part.n]
            part.z, part.h = z[:, own], z[:, after]
            if dz is not None:
                part.dz, part.dh = dz[:, own], dz[:, after]
            xp.fill(1.0, part.z[:, part.n_in])
        xp.fill(1.0, z[:, -1])
        self.reader.bind(z, dz)
        self.pieces_of: list[list[Piece]] = []  # by layer after the LSTM, the new state last
        at = 0
        for part in self.parts[self.first :]:
            carried = [(m.after, m.d_after) for m in part.memories] + [(part.h, part.dh if e.keeps else None)]
            self.pieces_of.append(
                [Piece(slice(at + k * part.n, at + (k + 1) * part.n), *c) for k, c in enumerate(carried)]
            )
            at += part.n * len(carried)
        self.pieces = [piece for pieces in self.pieces_of for piece in pieces]
        if self.first:
            self._join(self.lstm)

    @property
    def lstm(self) -> LSTM:
        """The LSTM before the other layers; only where there is one."""
        lstm = self.parts[0]
        assert isinstance(lstm, LSTM)
        return lstm

    def _join(self, lstm: LSTM) -> None:
        """Let an LSTM reveal its state to the layers after it, and carry their gradients back."""
        lstm.reveals = [(p.at, part.old) for p, part in zip(self.pieces, self.parts[1:], strict=True)]
        self.pieces.append(Piece(slice(lstm.n, 2 * lstm.n), lstm.memory, lstm.d_memories))

    def outside(self, rows: Values) -> Values:
        """See rows (T, n, S, B) as those outside do, (S, B, T, n)."""
        form = self.form
        if self._is_folded:
            return rows[0].reshape(-1, form.n_seeds, form.n_time, form.n_batch).swapaxes(0, 1).swapaxes(1, 3)
        return rows.swapaxes(0, 2).swapaxes(1, 3)

    # ------------------------------------------------------------------------------------------- what a call is given

    def load(
        self,
        parameters: Values,
        sources: Sequence[Values],
        hidden: Values | None,
        dt: Values | None,
        resets: Values | None,
    ) -> None:
        """Take over parameters (S, P) and inputs."""
        xp = self.xp
        self.packing.pack(do, parameters)
        for part in self.parts[: self.first + 1]:
            at = 0
            for source in sources:
                width = source.shape[3]
                do(xp.copy, source, self.outside(part.z[:, at : at + width]))
                at += width
        if self._elapsed is not None and dt is not None:
            do(xp.copy, dt[:, :, :, None], self.outside(self._elapsed))
        if self._resets is not None and resets is not None:
            do(xp.copy, resets[:, :, :, None], self.outside(self._resets))
            do(xp.subtract, self._resets, xp.half, self._resets)
            do(xp.sign_bits, xp.bits(self._resets), xp.bits(self._resets))
        if self.first and hidden is None:
            do(xp.fill, 0.0, self.lstm.before[0])
        if self.remembers and hidden is not None:
            self._load_hidden(hidden)

    def _load_hidden(self, hidden: Values) -> None:
        by_row = hidden.swapaxes(0, 2).swapaxes(1, 2)
        if self._resets is not None:  # masking is faster where neurons lie one after another
            do(self.xp.copy, by_row, self._hidden)
            by_row = self._hidden
        if self.first:
            n = self.lstm.n
            self.keep(do, by_row[:n], 0, self.lstm.old[0])
            self.keep(do, by_row[n:], 0, self.lstm.before[0])
            return
        for pieces, part in zip(self.pieces_of, self.parts, strict=True):
            places = [*(m.before for m in part.memories), part.old]
            for piece, place in zip(pieces, places, strict=True) if part.recurs else ():
                self.keep(do, by_row[piece.at], 0, place[0])

    def keep(self, do: Emit, a: Values, t: int, out: Values) -> None:
        """Copy a state or its gradient (n, S, B), but forget those of samples that are reset at step t.

        Bits are masked, since a product with 0 doesn't forget NaN.
        """
        xp = self.xp
        if self._resets is not None:
            do(xp.keep_bits, xp.bits(a), xp.bits(self._resets[t][: len(a)]), xp.bits(out))
        elif a is not out:
            do(xp.copy, a, out)

    def load_gradients(self, d_out: Values | None, d_states: Values | None, d_last: Values | None) -> None:
        """Take over the gradients that a backward call starts from."""
        xp = self.xp
        for piece in self.pieces if d_states is not None or d_last is not None else ():
            into = self.outside(piece.gradient)
            if d_states is None:
                do(xp.fill, 0.0, into)
            else:
                do(xp.copy, d_states[..., piece.at], into)
            if d_last is not None:
                do(xp.add, into[:, :, -1], d_last[..., piece.at], into[:, :, -1])
        if d_out is not None:
            do(xp.copy, d_out, self.outside(self.reader.d_out))

    # ----------------------------------------------------------------------------------------------- what a call gives

    def write_states(self, out: Values) -> None:
        """Write the states (S, B, T, H)."""
        for piece in self.pieces:
            do(self.xp.copy, self.outside(piece.values), out[..., piece.at])

    def write_last(self, out: Values) -> None:
        """Write the last state (S, B, H)."""
        for piece in self.pieces:
            do(self.xp.copy, self.outside(piece.values)[:, :, -1], out[..., piece.at])

    def source_rows(self, index: int) -> slice:
        """Return where a source lies among the rows that the first layer reads."""
        begin = sum(self.form.widths[:index])
        return slice(begin, begin + self.form.widths[index])
