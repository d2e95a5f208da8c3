"""A quantised policy in NumPy, for a batch: the same whole numbers, and so the same bits, as the generated C."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.envs.actions import ActionBounds
from velora.export.c.bits import LARGEST_OBSERVATION
from velora.export.policy import LONGEST_STEP, SHORTEST_STEP
from velora.export.quantise import arithmetic as whole
from velora.export.quantise.arithmetic import Integers
from velora.export.quantise.description import Quantised, QuantisedLayer
from velora.export.quantise.fitting import apply
from velora.kernels.layers import Kind
from velora.ops.choice import Choice

Singles = NDArray[np.float32]


class Model:
    """Step a quantised policy.

    Example:
        >>> model = Model(quantised)  # doctest: +SKIP
        >>> state = model.begin(1)  # doctest: +SKIP
        >>> action, state = model.step(observation[None], state, np.float32([1.0]))  # doctest: +SKIP
    """

    def __init__(self, quantised: Quantised) -> None:
        self.quantised = quantised
        self.clipped = np.zeros(quantised.policy.n_inputs, np.int64)
        """How often each input was limited."""

    def begin(self, batch: int) -> Integers:
        """Return the state at an episode's start, (B, n_state)."""
        return np.zeros((batch, self.quantised.policy.n_state), np.int64)

    def step(self, obs: Singles, state: Integers, dt: Singles) -> tuple[NDArray[Any], Integers]:
        """Compute the next actions, in the environment's units, and states.

        Shapes:
            obs: (B, n_observations). state: (B, n_state). dt: (B,), in control steps.
            returns: (B, n_actions) float32, or whole numbers where it is discrete.
        """
        out, state = self.network(obs, state, dt)
        return self.action(out), state

    def network(self, obs: Singles, state: Integers, dt: Singles) -> tuple[Integers, Integers]:
        """Return what is read off, (B, n_out), in whole numbers, and the new state.

        Where an observation can't be used (:data:`LARGEST_OBSERVATION`) the state stays, and what is read off it too.
        """
        obs, told = np.asarray(obs, np.float32), np.asarray(dt, np.float32)
        usable: NDArray[np.bool_] = np.all(np.abs(obs) <= np.float32(LARGEST_OBSERVATION), axis=1)
        if self.quantised.policy.reads_dt:
            usable &= ~np.isnan(told)
        obs = np.where(usable[:, None], obs, np.float32(0.0))
        told = np.where(usable & ~np.isnan(told), told, np.float32(1.0))
        told = np.clip(told, np.float32(SHORTEST_STEP), np.float32(LONGEST_STEP))
        new = np.where(usable[:, None], self._advance(self.inputs(obs, told), state, told), state)
        return self._read_out(new), new

    def _advance(self, x: Integers, state: Integers, dt: Singles) -> Integers:
        """Return the new state."""
        bits = self.quantised.dt_bits
        ticks = whole.quantise_time(dt, bits)[:, None]
        if not self.quantised.policy.tells_time:
            ticks = np.full_like(ticks, 1 << bits)
        before, new, read = state, state.copy(), x
        for layer in self.quantised.layers:
            own = before[:, layer.state_at : layer.state_at + layer.n]
            if layer.kind is Kind.LSTM:  # what it reveals is the old state of all layers after it
                new[:, layer.n :], before = self._memorise(layer, x, state[:, : layer.n], state[:, layer.n :])
                continue
            if layer.kind is Kind.LSTM_LAYER:
                memory = slice(layer.state_at - layer.n, layer.state_at)
                new[:, memory], fresh = self._memorise(layer, read, own, before[:, memory])
            else:
                fresh = self._neurons(layer, read, own, ticks)
            new[:, layer.state_at : layer.state_at + layer.n] = fresh
            read = fresh
        return new

    def inputs(self, obs: Singles, dt: Singles) -> Integers:
        """Return what the network reads, (B, n_inputs), in whole numbers."""
        given = obs
        if self.quantised.policy.reads_log_dt:
            given = np.concatenate((obs, whole.logarithm(dt)[:, None]), 1)
        with np.errstate(over="ignore"):
            scaled = (given - self.quantised.inputs.middle) * self.quantised.inputs.factor
        self.clipped += (np.abs(scaled) > whole.LARGEST).sum(0)
        return whole.quantise(scaled)

    def action(self, out: Integers) -> NDArray[Any]:
        """Bring what is read off to the environment's units, (B, n_actions)."""
        policy = self.quantised.policy
        if policy.choice is Choice.LARGEST:
            return np.asarray(np.argmax(out, 1)[:, None] + getattr(policy.units, "first", 0))
        assert isinstance(policy.units, ActionBounds)
        low, high, _ = policy.units.arrays
        one = 1 << self.quantised.readout.bits
        half = policy.units.arrays[2] * np.float32(1.0 / one)
        return np.minimum(np.maximum(low + (out + one).astype(np.float32) * half, low), high)

    # -------------------------------------------------------------------------------------------------------- layers

    def _heads(self, layer: QuantisedLayer, *parts: Integers) -> list[Integers]:
        read = parts if layer.linear.recurrent is not None else parts[:1]
        sums = apply(layer.linear, read, self.quantised.before, self.quantised.after)
        return np.split(sums, sums.shape[1] // layer.n, axis=1)

    def _neurons(self, layer: QuantisedLayer, x: Integers, h: Integers, dt: Integers) -> Integers:
        quantised, kind = self.quantised, layer.kind
        bits = quantised.dt_bits
        if kind is Kind.GRU_D:
            h = whole.product(h, whole.decay(self._decayed(layer, dt)))
        heads = self._heads(layer, x, h)
        match kind:
            case Kind.CFC | Kind.CFC_NO_GATE:
                return self._cfc(layer, heads, dt)
            case Kind.CFC_PURE:
                return self._pure(layer, heads[0], dt)
            case Kind.GRU | Kind.GRU_D:
                a, b, c, d = heads
                return whole.mix(_candidate(a, c, d), h, whole.sigmoid(b))
            case Kind.LEAKY:
                a, b, c, d = heads
                kept = whole.decay(whole.stretch(whole.softplus(b), dt, bits))
                return whole.mix(_candidate(a, c, d), h, kept)
            case Kind.LEAKY_NO_RESET:
                a, b = heads
                kept = whole.decay(whole.stretch(whole.softplus(a), dt, bits))
                return whole.mix(whole.tanh(b), h, kept)
            case Kind.TANH:
                return whole.tanh(heads[0])
            case Kind.RELU:
                return np.clip(heads[0], 0, whole.LARGEST)
        raise AssertionError(f"no formula for {kind}")

    def _cfc(self, layer: QuantisedLayer, heads: list[Integers], dt: Integers) -> Integers:
        if layer.merged:
            a, b, reads = heads
        else:
            a, b, c, d = heads
            reads = whole.shift(whole.clamp(c) * dt, self.quantised.dt_bits - 2) + d
        gate, first, second = whole.sigmoid(reads), whole.tanh(a), whole.tanh(b)
        if layer.kind is Kind.CFC:
            return whole.mix(first, second, gate)
        return whole.shift(first + whole.product(second, gate), 1)

    def _pure(self, layer: QuantisedLayer, a: Integers, dt: Integers) -> Integers:
        a = whole.clamp(a)
        rate = np.minimum(layer.numbers["w_tau"] + ((np.abs(a) * whole.LOG2_E) >> whole.SUM_BITS), (1 << 19) - 1)
        kept = whole.decay(whole.stretch(rate, dt, self.quantised.dt_bits))
        part = whole.clamp((1 << whole.SUM_BITS) - whole.product(a, kept))
        return whole.clamp(whole.shift(part * layer.numbers["A"], layer.shift))

    def _decayed(self, layer: QuantisedLayer, dt: Integers) -> Integers:
        weight = layer.numbers["decay_weight"]
        stretched = np.sign(weight) * whole.stretch(np.abs(weight), dt, self.quantised.dt_bits)
        return np.asarray(np.maximum(stretched + layer.numbers["decay_bias"], 0))

    def _memorise(self, layer: QuantisedLayer, x: Integers, h: Integers, memory: Integers) -> tuple[Integers, Integers]:
        """Return the new memory of an LSTM, and what it reveals."""
        candidate, accept, keep, reveal = self._heads(layer, x, h)
        memory = whole.remember(memory, whole.sigmoid(keep), whole.sigmoid(accept), whole.tanh(candidate))
        twice = whole.shift(memory, whole.MEMORY_BITS - whole.SUM_BITS - 1)
        return memory, whole.product(whole.tanh(twice), whole.sigmoid(reveal))

    def _read_out(self, state: Integers) -> Integers:
        quantised, readout = self.quantised, self.quantised.readout
        out = state[:, readout.state_at : readout.state_at + readout.n_in]
        if readout.linear is not None:
            out = apply(readout.linear, [out], quantised.before, quantised.after)
            if readout.is_limited:
                out = whole.clamp(out)
        for bits in readout.tanh:
            out = whole.tanh(whole.shift(out << whole.SUM_BITS + 1, bits))
        return out


def _candidate(reset: Integers, c: Integers, d: Integers) -> Integers:
    """Return tanh(c + sigmoid(reset) d) of sums in Q12."""
    return whole.tanh(2 * (c + whole.product(whole.clamp(d), whole.sigmoid(reset))))
