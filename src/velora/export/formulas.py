"""One step of a policy over a batch, in operations that ONNX and PyTorch both have; a target says how it does each.

:mod:`velora.export.replay` computes the same one by one in NumPy, written on its own, so that each checks the other.

A cell has its formula here and in :mod:`velora.export.c.formulas`. One text for both was tried on paper: they share no
order of operations (a graph wants few nodes, ``target + kept * (h - target)``; C mixes two values in whole numbers, so
that their bits are known), a graph has no numbers among its operators and may have no dt, and the functions that would
bridge that are longer than the formulas that they would save.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.envs.actions import ActionBounds, DiscreteActions
from velora.export.operations import Array, Operations
from velora.export.policy import Layer, Policy
from velora.kernels.layers import Kind
from velora.kernels.plan import ReadoutKind
from velora.ops.choice import Choice


def step(ops: Operations, policy: Policy, obs: Array, state: Array, dt: Array) -> tuple[Array, Array]:
    """Compute actions and next states.

    Shapes:
        obs: (B, n_observations). state: (B, n_state). dt: (B,).
        returns: actions (B, n_actions) in the environment's units, of discrete ones (B,), and states (B, n_state).
    """
    time = ops.with_axis(dt) if policy.reads_dt else None
    with ops.within("input"):
        x = _inputs(ops, policy, obs, time)
    new = _network(ops, policy, x, state, time if policy.tells_time else None)
    with ops.within("output"):
        action = _action(ops, policy, _read_out(ops, policy, new))
    return action, new


def _inputs(ops: Operations, policy: Policy, x: Array, time: Array | None) -> Array:
    if (norm := policy.normalisation) is not None:
        x = (x - ops.parameter("mean", norm.mean)) * ops.parameter("factor", norm.factor)
        most = np.full(policy.n_observations, norm.most, np.float32)
        x = ops.clip(x, -most, most)
    return ops.join([x, ops.elementwise("log", time)]) if policy.reads_log_dt else x


def _network(ops: Operations, policy: Policy, x: Array, state: Array, time: Array | None) -> Array:
    """Compute the layers; return the new state."""
    parts, new, read = _parts(policy), dict[int, Array](), x
    apart = _taken_apart(ops, state, list(parts.values())) if policy.has_memory else [None] * len(parts)
    old = dict(zip(parts, apart, strict=True))
    for number, layer in enumerate(policy.layers):
        at = layer.state_at
        with ops.within(f"layer{number}"):
            tensors = _Tensors(ops, layer)
            if layer.kind is Kind.LSTM:  # what it reveals is the old state of all layers after it
                memory, sizes = layer.n, [one.n for one in policy.layers[1:]]
                revealed = ops.join([old[one.state_at] for one in policy.layers[1:]])
                new[memory], revealed = _memorise(ops, _heads(ops, layer, tensors, x, revealed), old[memory])
                circuit = zip((one.state_at for one in policy.layers[1:]), ops.split(revealed, sizes), strict=True)
                old.update(circuit)
                continue
            if layer.kind is Kind.LTC:
                new[at] = _circuit(ops, layer, tensors, read, old[at], time)
            elif layer.kind is Kind.LSTM_LAYER:
                memory = at - layer.n
                new[memory], new[at] = _memorise(ops, _heads(ops, layer, tensors, read, old[at]), old[memory])
            else:
                new[at] = _neurons(ops, layer, tensors, read, old[at], time)
            read = new[at] = ops.called("next", new[at])
    return ops.join([new[begin] for begin in parts])


def _parts(policy: Policy) -> dict[int, int]:
    """Return the parts that the state consists of: where each begins, in order, and its size."""
    parts = {}
    for layer in policy.layers:
        if layer.kind is Kind.LSTM:
            parts[layer.n] = layer.n  # its memory, after the circuit's state
            continue
        parts[layer.state_at] = layer.n
        if layer.kind is Kind.LSTM_LAYER:
            parts[layer.state_at - layer.n] = layer.n
    return dict(sorted(parts.items()))


def _taken_apart(ops: Operations, x: Array, sizes: Sequence[int]) -> Sequence[Array]:
    return [x] if len(sizes) == 1 else ops.split(x, sizes)


# ----------------------------------------------------------------------------------------------------------- layers


class _Tensors(Mapping[str, Array]):
    """The parameters of a layer, each made when it is asked for."""

    def __init__(self, ops: Operations, layer: Layer) -> None:
        self._ops, self.numbers = ops, layer.tensors

    def __getitem__(self, name: str) -> Array:
        return self._ops.parameter(name, self.numbers[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)


def _heads(ops: Operations, layer: Layer, tensors: _Tensors, x: Array, h: Array) -> Sequence[Array]:
    """Return the linear heads of a layer, (B, n) each."""
    weight, bias = (tensors.numbers[name] for name in layer.kind.value.tensors[:2])
    read = ops.join([x, h]) if layer.kind.has_state else x
    width = layer.n_in + layer.n * layer.kind.has_state  # a layer without a state has columns for one, which are zero
    out = ops.linear(read, ops.parameter("weight", weight[:, :width]), ops.parameter("bias", bias))
    return _taken_apart(ops, out, [layer.n] * (len(bias) // layer.n))


def _neurons(ops: Operations, layer: Layer, tensors: _Tensors, x: Array, h: Array, time: Array | None) -> Array:
    """Return the new state of a layer; the formulas are those of :class:`velora.kernels.layers.Kind`."""
    kind = layer.kind
    if kind is Kind.GRU_D:
        decay = _over(time, tensors["decay_weight"]) + tensors["decay_bias"]
        h = h * ops.elementwise("exp", -ops.elementwise("relu", decay))
    heads = _heads(ops, layer, tensors, x, h)
    match kind:
        case Kind.CFC | Kind.CFC_NO_GATE:
            a, b, c, d = heads
            gate = ops.elementwise("sigmoid", _over(time, c) + d)
            first, second = ops.elementwise("tanh", a), ops.elementwise("tanh", b)
            return first + gate * second if kind is Kind.CFC_NO_GATE else ops.mix(first, second, gate)
        case Kind.CFC_PURE:
            (a,) = heads
            rate = ops.elementwise("abs", a) + ops.parameter("rate", np.abs(tensors.numbers["w_tau"]))
            amplitude = tensors["A"]
            return amplitude - amplitude * (ops.elementwise("exp", -_over(time, rate)) * a)
        case Kind.GRU | Kind.GRU_D | Kind.LEAKY:
            a, b, c, d = heads
            target = ops.elementwise("tanh", c + ops.elementwise("sigmoid", a) * d)
            kept = _leak(ops, b, time) if kind is Kind.LEAKY else ops.elementwise("sigmoid", b)
            return ops.mix(target, h, kept)
        case Kind.LEAKY_NO_RESET:
            a, b = heads
            target = ops.elementwise("tanh", b)
            return ops.mix(target, h, _leak(ops, a, time))
        case Kind.TANH | Kind.RELU:
            return ops.elementwise(kind.name.lower(), heads[0])
    raise AssertionError(f"no formula for {kind}")


def _over(time: Array | None, x: Array) -> Array:
    """Multiply by the elapsed time, where it is told."""
    return x if time is None else time * x


def _leak(ops: Operations, x: Array, time: Array | None) -> Array:
    """Return which part of a state is kept."""
    return ops.elementwise("exp", -_over(time, ops.elementwise("softplus", x)))


def _memorise(ops: Operations, heads: Sequence[Array], memory: Array) -> tuple[Array, Array]:
    """Return the new memory of an LSTM, and what it reveals."""
    candidate, accept, keep, reveal = heads
    sigmoid = [ops.elementwise("sigmoid", gate) for gate in (accept, keep, reveal)]
    memory = ops.called("memory", sigmoid[1] * memory + sigmoid[0] * ops.elementwise("tanh", candidate))
    return memory, sigmoid[2] * ops.elementwise("tanh", memory)


def _circuit(ops: Operations, layer: Layer, tensors: _Tensors, x: Array, v: Array, time: Array | None) -> Array:
    """Take the sub-steps of an LTC: ``v <- (capacity v + d pull) / (capacity + d conductance)``.

    The capacity is divided by d, once, where replay multiplies by d in every sub-step.
    """
    numbers = tensors.numbers
    x = x * tensors["input_w"] + tensors["input_b"]
    pull, conductance = _currents(ops, numbers, "sensory_", x)
    pull = pull + ops.parameter("rest", numbers["leak"] * numbers["vleak"])
    conductance = conductance + tensors["leak"]
    slow = ops.parameter("capacity", numbers["capacity"] * np.float32(layer.unfolds))
    slow = slow if time is None else slow / time
    for _ in range(layer.unfolds):
        drawn, opened = _currents(ops, numbers, "", v)
        v = (slow * v + (pull + drawn)) / (slow + (conductance + opened))
    return v


def _currents(ops: Operations, numbers: Mapping[str, NDArray[Any]], prefix: str, v: Array) -> tuple[Array, Array]:
    """Sum the pull and the conductance of the synapses onto every neuron, (B, n) each."""
    sigma, mu, strength, erev = (
        numbers[prefix + name].astype(np.float64) for name in ("sigma", "mu", "strength", "erev")
    )
    slope = ops.parameter(f"{prefix}slope", sigma)
    opening = ops.elementwise("sigmoid", slope * ops.with_axis(v) + ops.parameter(f"{prefix}shift", -sigma * mu))
    pull = ops.sum_rows(opening * ops.parameter(f"{prefix}pull", strength * erev))
    return pull, ops.sum_rows(opening * ops.parameter(f"{prefix}strength", strength))


# ---------------------------------------------------------------------------------------------------------- outputs


def _read_out(ops: Operations, policy: Policy, state: Array) -> Array:
    readout = policy.readout
    before, after = readout.state_at, policy.n_state - readout.state_at - readout.n_in
    sizes = [size for size in (before, readout.n_in, after) if size]
    out = _taken_apart(ops, state, sizes)[int(before > 0)]
    if readout.weight is not None and readout.bias is not None:
        weight, bias = ops.parameter("weight", readout.weight), ops.parameter("bias", readout.bias)
        out = ops.linear(out, weight, bias) if readout.kind is ReadoutKind.LINEAR else weight * out + bias
    return ops.elementwise("tanh", out) if readout.squash else out


def _action(ops: Operations, policy: Policy, out: Array) -> Array:
    if policy.choice is Choice.LARGEST:
        return ops.largest(out, policy.units.first if isinstance(policy.units, DiscreteActions) else 0)
    chosen = ops.elementwise("tanh", out) if policy.choice is Choice.TANH else out
    assert isinstance(policy.units, ActionBounds)
    low, high, half = policy.units.arrays
    middle = (low.astype(np.float64) + half).astype(np.float32)
    return ops.clip(chosen * ops.parameter("half", half) + ops.parameter("middle", middle), low, high)
