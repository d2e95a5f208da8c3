"""Compute a policy in NumPy, step by step: the reference that every target is compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.envs.actions import ActionBounds
from velora.export.policy import Layer, Policy
from velora.kernels.layers import Kind
from velora.kernels.plan import ReadoutKind
from velora.ops.choice import Choice

Numbers = NDArray[Any]


def sigmoid(x: Numbers) -> Numbers:
    """Return 1 / (1 + exp(-x)), without overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def softplus(x: Numbers) -> Numbers:
    """Return log(1 + exp(x)), without overflow."""
    return np.logaddexp(x, np.zeros_like(x))


class Replay:
    """Step a policy in the precision that is asked for.

    Example:
        >>> replay = Replay(policy)  # doctest: +SKIP
        >>> state = np.zeros(policy.n_state)  # doctest: +SKIP
        >>> action, state = replay.step(observation, state, dt=1.0)  # doctest: +SKIP

    Args:
        policy: what to compute.
        dtype: ``float64`` to be compared with.
        watch: called with the number of a layer and what its heads read, (n_in + n), for calibration.
    """

    def __init__(
        self, policy: Policy, dtype: Any = np.float64, watch: Callable[[int, Numbers], None] | None = None
    ) -> None:
        self.policy, self.dtype, self._watch = policy, dtype, watch
        self._tensors = [{name: np.asarray(t, dtype) for name, t in one.tensors.items()} for one in policy.layers]

    def step(self, obs: Numbers, state: Numbers, dt: float = 1.0) -> tuple[Numbers, Numbers]:
        """Compute the next action and state.

        Shapes:
            obs: (n_observations,). state: (n_state,).
            returns: action (n_actions,) in the environment's units, state (n_state,).
        """
        out, state = self.network(self.inputs(obs, dt), state, dt)
        return self.action(out), state

    def inputs(self, obs: Numbers, dt: float) -> Numbers:
        """Return what the network reads, (n_inputs,)."""
        policy, x = self.policy, np.asarray(obs, self.dtype)
        if policy.normalisation is not None:
            mean, factor = (np.asarray(v, self.dtype) for v in (policy.normalisation.mean, policy.normalisation.factor))
            x = np.clip((x - mean) * factor, -policy.normalisation.most, policy.normalisation.most)
        return np.append(x, np.log(self.dtype(dt))) if policy.reads_log_dt else x

    def network(self, x: Numbers, state: Numbers, dt: float) -> tuple[Numbers, Numbers]:
        """Return what the network puts out, (n_out,), and the new state."""
        before, new = np.asarray(state, self.dtype), np.array(state, self.dtype)
        read, time = x, self.dtype(dt if self.policy.tells_time else 1.0)
        for number, (layer, tensors) in enumerate(zip(self.policy.layers, self._tensors, strict=True)):
            if layer.kind is Kind.LSTM:  # its output is the old state of all layers after it
                before, new[layer.n :] = self._lstm(number, layer, tensors, x, before)
                continue
            place = slice(layer.state_at, layer.state_at + layer.n)
            own = before[place]
            if layer.kind is Kind.LTC:
                new[place] = self._ltc(layer, tensors, read, own, time)
            elif layer.kind is Kind.LSTM_LAYER:
                memory = slice(layer.state_at - layer.n, layer.state_at)
                new[memory], new[place] = _memorise(self._heads(number, layer, tensors, read, own), before[memory])
            else:
                new[place] = self._neurons(number, layer, tensors, read, own, time)
            read = new[place]
        return self.output(new), new

    def action(self, out: Numbers) -> Numbers:
        """Bring what the network puts out to the environment's units, (n_actions,)."""
        policy = self.policy
        if policy.choice is Choice.LARGEST:
            return np.array([int(np.argmax(out)) + getattr(policy.units, "first", 0)])
        chosen = np.tanh(out) if policy.choice is Choice.TANH else out
        assert isinstance(policy.units, ActionBounds)
        low, high, half = (np.asarray(bounds, self.dtype) for bounds in policy.units.arrays)
        return np.asarray(np.clip(low + (chosen + 1) * half, low, high))

    # ------------------------------------------------------------------------------------------------------- layers

    def _heads(self, number: int, layer: Layer, tensors: dict[str, Numbers], x: Numbers, h: Numbers) -> list[Numbers]:
        """Return the linear heads of a layer, (n,) each."""
        weight, bias = (tensors[name] for name in layer.kind.value.tensors[:2])
        read = np.concatenate((x, h)) if layer.kind.has_state else x
        if weight.shape[1] > len(read):  # such a layer's module has columns for a state, which are zero
            read = np.concatenate((read, np.zeros(weight.shape[1] - len(read), self.dtype)))
        if self._watch is not None:
            self._watch(number, read)
        return list((weight @ read + bias).reshape(-1, layer.n))

    def _neurons(
        self, number: int, layer: Layer, tensors: dict[str, Numbers], x: Numbers, h: Numbers, dt: Numbers
    ) -> Numbers:
        kind = layer.kind
        if kind is Kind.GRU_D:
            h = h * np.exp(-np.maximum(0.0, dt * tensors["decay_weight"] + tensors["decay_bias"]))
        heads = self._heads(number, layer, tensors, x, h)
        match kind:
            case Kind.CFC | Kind.CFC_NO_GATE:
                a, b, c, d = heads
                gate = sigmoid(c * dt + d)
                kept = 1.0 if kind is Kind.CFC_NO_GATE else 1.0 - gate
                return np.asarray(kept * np.tanh(a) + gate * np.tanh(b))
            case Kind.CFC_PURE:
                (a,) = heads
                return np.asarray(tensors["A"] * (1.0 - np.exp(-dt * (np.abs(tensors["w_tau"]) + np.abs(a))) * a))
            case Kind.GRU | Kind.GRU_D:
                a, b, c, d = heads
                kept = sigmoid(b)
                return np.asarray((1.0 - kept) * np.tanh(c + sigmoid(a) * d) + kept * h)
            case Kind.LEAKY:
                a, b, c, d = heads
                kept = np.exp(-dt * softplus(b))
                return np.asarray((1.0 - kept) * np.tanh(c + sigmoid(a) * d) + kept * h)
            case Kind.LEAKY_NO_RESET:
                a, b = heads
                kept = np.exp(-dt * softplus(a))
                return np.asarray((1.0 - kept) * np.tanh(b) + kept * h)
            case Kind.TANH:
                return np.tanh(heads[0])
            case Kind.RELU:
                return np.maximum(heads[0], 0.0)
        raise AssertionError(f"no formula for {kind}")

    def _lstm(
        self, number: int, layer: Layer, tensors: dict[str, Numbers], x: Numbers, state: Numbers
    ) -> tuple[Numbers, Numbers]:
        """Return the state that the layers after it see, and the new memory."""
        memory, revealed = _memorise(self._heads(number, layer, tensors, x, state[: layer.n]), state[layer.n :])
        return revealed, memory

    def _ltc(self, layer: Layer, tensors: dict[str, Numbers], x: Numbers, v: Numbers, dt: Numbers) -> Numbers:
        x = x * tensors["input_w"] + tensors["input_b"]
        leak, capacity = tensors["leak"], tensors["capacity"]
        pull, conductance = _currents(tensors, x, "sensory_")
        pull, conductance = pull + leak * tensors["vleak"], conductance + leak
        step = dt / layer.unfolds
        for _ in range(layer.unfolds):
            drawn, open_ = _currents(tensors, v, "")
            v = (capacity * v + step * (pull + drawn)) / (capacity + step * (conductance + open_))
        return v

    def output(self, state: Numbers) -> Numbers:
        """Read what the network puts out, (n_out,), off a new state."""
        readout = self.policy.readout
        out = state[readout.state_at : readout.state_at + readout.n_in]
        if readout.kind is not ReadoutKind.SLICE:
            assert readout.weight is not None
            assert readout.bias is not None
            weight, bias = np.asarray(readout.weight, self.dtype), np.asarray(readout.bias, self.dtype)
            out = (weight @ out if readout.kind is ReadoutKind.LINEAR else weight * out) + bias
        return np.tanh(out) if readout.squash else out


def _memorise(heads: list[Numbers], memory: Numbers) -> tuple[Numbers, Numbers]:
    """Return the new memory of an LSTM, and what it reveals."""
    candidate, accept, keep, reveal = heads
    memory = sigmoid(keep) * memory + sigmoid(accept) * np.tanh(candidate)
    return memory, np.asarray(sigmoid(reveal) * np.tanh(memory))


def _currents(tensors: dict[str, Numbers], v: Numbers, prefix: str) -> tuple[Numbers, Numbers]:
    """Sum the pull and the conductance of the synapses onto every neuron of an LTC, (n,) each."""
    sigma, mu, strength, erev = (tensors[prefix + name] for name in ("sigma", "mu", "strength", "erev"))
    opening = sigmoid(sigma * (v[:, None] - mu)) * strength
    return (opening * erev).sum(0), opening.sum(0)
