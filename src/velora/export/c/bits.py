"""Compute a policy in NumPy to the bits of its C text, so that the text can carry what a processor has to answer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.envs.actions import ActionBounds
from velora.export.c import ltc
from velora.export.c.arithmetic import Arithmetic
from velora.export.c.formulas import faded, own_numbers, reveal
from velora.export.c.layers import Heads, heads_of
from velora.export.policy import LONGEST_STEP, SHORTEST_STEP, Policy
from velora.kernels.layers import Kind
from velora.kernels.plan import ReadoutKind
from velora.ops.choice import Choice

Array = NDArray[Any]
LARGEST_OBSERVATION = 1e9
"""Observations beyond this are taken for a broken sensor."""


class Bits:
    """Step a policy as the C text does, in float32.

    Args:
        policy: what to compute.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy, self._f = policy, Arithmetic()
        self._heads = {at: heads_of(one) for at, one in enumerate(policy.layers) if one.kind is not Kind.LTC}

    def step(self, obs: Array, state: Array, dt: float = 1.0) -> tuple[Array, Array]:
        """Compute the next action and state.

        Shapes:
            obs: (n_observations,). state: (n_state,).
            returns: action (n_actions,), float32 or whole numbers; state (n_state,).
        """
        policy, obs = self.policy, np.asarray(obs, np.float32)
        new, time = np.array(state, np.float32), np.float32(dt)
        usable = bool((np.abs(obs) <= np.float32(LARGEST_OBSERVATION)).all())
        if usable and not (policy.reads_dt and np.isnan(time)):
            clipped = np.clip(time, np.float32(SHORTEST_STEP), np.float32(LONGEST_STEP))
            with np.errstate(all="ignore"):
                self._compute(self._inputs(obs, clipped), new, clipped if policy.tells_time else np.float32(1.0))
        return self._action(new), new

    def _inputs(self, obs: Array, dt: np.float32) -> Array:
        given = self.policy.normalisation
        if given is not None:
            most = np.float32(given.most)
            obs = np.clip((obs - given.mean) * given.factor, -most, most)
        return np.append(obs, self._f.log_of(np.array([dt]))) if self.policy.reads_log_dt else obs

    def _compute(self, x: Array, state: Array, dt: Any) -> None:
        """Put the new state in the place of the old one, layer by layer."""
        read = x
        for number, layer in enumerate(self.policy.layers):
            own = state[layer.state_at : layer.state_at + layer.n]
            if layer.kind is Kind.LTC:
                own[:] = ltc.step(self._f, layer, read, own.copy(), dt)
            else:
                start = layer.n if layer.kind is Kind.LSTM else layer.state_at - layer.n
                memory = state[start : start + layer.n] if self._heads[number].form.has_memory else own
                self._layer(self._heads[number], read, own, memory, dt)
            read = x if layer.kind is Kind.LSTM else own

    def _layer(self, heads: Heads, x: Array, own: Array, memory: Array, dt: Any) -> None:
        f, form, layer = self._f, heads.form, heads.layer
        if form.fades:
            own[:] = faded(f, own.copy(), dt, layer.tensors["decay_weight"], layer.tensors["decay_bias"])
        sums = heads.bias.copy()
        _add(sums[heads.into_input], heads.input[heads.into_input], heads.reads_input, x)
        _add(sums[heads.into_state], heads.state[heads.into_state], heads.reads_state, own)
        result = form.formula(f, tuple(sums), memory.copy(), dt, *own_numbers(layer).values())
        if form.has_memory:
            memory[:] = result
            result = reveal(f, tuple(sums), result)
        own[:] = result

    def _action(self, state: Array) -> Array:
        policy, f = self.policy, self._f
        out = self._outputs(state)
        out = f.tanh_of(out) if policy.readout.squash else out
        out = f.tanh_of(out) if policy.choice is Choice.TANH else out
        if policy.is_discrete:
            return np.array([int(np.argmax(out)) + getattr(policy.units, "first", 0)])
        assert isinstance(policy.units, ActionBounds)
        low, high, half = policy.units.arrays
        return np.clip(low + (out + np.float32(1.0)) * half, low, high)

    def _outputs(self, state: Array) -> Array:
        readout = self.policy.readout
        read = state[readout.state_at : readout.state_at + readout.n_in]
        if readout.kind is ReadoutKind.SLICE:
            return read
        assert readout.weight is not None
        assert readout.bias is not None
        if readout.kind is ReadoutKind.AFFINE:
            return readout.weight * read + readout.bias
        out = readout.bias.copy()
        for source, value in enumerate(read):
            out = out + readout.weight[:, source] * value
        return out


def _add(sums: Array, weight: Array, reads: Array, x: Array) -> None:
    """Add what neurons read to their sums (heads, n), one source after another as C does."""
    for source in range(weight.shape[2]):
        added = sums + weight[:, :, source] * x[source]
        sums[:] = np.where(reads[:, source], added, sums)
