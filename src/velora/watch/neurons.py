"""The neurons of a policy: in layers, joined by synapses, and what each does in a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.export.policy import Layer, Policy
from velora.export.replay import sigmoid, softplus
from velora.kernels.layers import Kind
from velora.kernels.plan import ReadoutKind

Numbers = NDArray[Any]
SENSORY, INTER, COMMAND, MOTOR, MEMORY, OUTPUT = "sensory", "inter", "command", "motor", "memory", "output"


@dataclass(frozen=True, slots=True)
class Neuron:
    """A neuron, or something that stands beside them in a picture.

    Attributes:
        name: that people see, such as ``"command 3"``.
        layer: its column.
        at: its place among the numbers of its layer.
    """

    name: str
    layer: str
    at: int


@dataclass(frozen=True, slots=True)
class Synapse:
    """A way from one neuron to another.

    ``current = ((1 - mixes * gate) a + gate b) x`` of its source's activity x and its target's gate; of an LTC
    ``strength sigmoid(sigma (x - mu)) (erev - v)``, v its target's activity, with the four in ``circuit``.

    Attributes:
        source, target: positions in :attr:`Circuit.neurons`.
        a, b: weights that meet the activity of the source.
        circuit: sigma, mu, strength and erev of an LTC's; ``None`` of others.
    """

    source: int
    target: int
    a: float
    b: float = 0.0
    circuit: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Circuit:
    """Everything that a picture of a policy shows.

    Attributes:
        neurons: sensory ones first, then those of the layers in the order of the policy's activities, outputs last.
        synapses: whose weights aren't zero.
        mixes: whether a gate takes from ``a`` what it gives to ``b``, as in a CfC.
        gate_means: what an open gate means, in words; empty where cells have none.
        time_means: what a time constant means, in words; empty where cells have none.
    """

    neurons: tuple[Neuron, ...]
    synapses: tuple[Synapse, ...]
    mixes: bool
    gate_means: str
    time_means: str

    @property
    def layers(self) -> Mapping[str, list[int]]:
        """Positions of neurons by the names of their layers, in the order of the picture."""
        found: dict[str, list[int]] = {}
        for at, one in enumerate(self.neurons):
            found.setdefault(one.layer, []).append(at)
        return found


GATES: Mapping[Kind, str] = {
    Kind.CFC: "the share of its second target, which the elapsed time moves it to",
    Kind.CFC_NO_GATE: "how much its second target adds",
    Kind.GRU: "the share of its old state that it keeps",
    Kind.GRU_D: "the share of its old state that it keeps",
    Kind.LEAKY: "the share of its old state that it keeps",
    Kind.LEAKY_NO_RESET: "the share of its old state that it keeps",
    Kind.LSTM_LAYER: "the share of its memory that it keeps",
    Kind.LSTM: "the share of its memory that it keeps",
}
"""What an open gate means."""
TIMES: Mapping[Kind, str] = {
    Kind.CFC: "1 / |rate at which the gate moves with the elapsed time|",
    Kind.CFC_NO_GATE: "1 / |rate at which the gate moves with the elapsed time|",
    Kind.CFC_PURE: "1 / (|w_tau| + |f|), of the decay towards A",
    Kind.LEAKY: "1 / rate, of the decay towards its target",
    Kind.LEAKY_NO_RESET: "1 / rate, of the decay towards its target",
    Kind.LTC: "capacity / conductance, of the decay towards its balance",
    Kind.GRU_D: "1 / rate, of the decay before a step",
}
"""What a time constant means."""


class Neurons:
    """Look at what each neuron of a policy does in a step.

    Args:
        policy: any.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._tensors = [{name: np.asarray(t, np.float64) for name, t in one.tensors.items()} for one in policy.layers]

    def look(self, x: Numbers, before: Numbers, after: Numbers, dt: float) -> tuple[Numbers, Numbers, Numbers]:
        """Return activity, gate and time constant of every neuron, (N,) each, in the order of the layers.

        Shapes:
            x: (n_inputs,), what the network reads. before, after: (n_state,), around the step.
        """
        time, read, old = dt if self.policy.tells_time else 1.0, x, np.asarray(before, np.float64)
        found = []
        for layer, tensors in zip(self.policy.layers, self._tensors, strict=True):
            n, at = layer.n, layer.state_at
            if layer.kind is Kind.LSTM:
                keep = sigmoid(_heads(layer, tensors, x, old[:n])[2])
                memory = np.asarray(after[n:], np.float64)
                found.append((np.tanh(memory), keep, np.full(n, np.nan)))
                reveal = sigmoid(_heads(layer, tensors, x, old[:n])[3])
                old = np.concatenate((reveal * np.tanh(memory), memory))
                continue
            new = np.asarray(after[at : at + n], np.float64)
            found.append((new, *_gate_and_time(layer, tensors, read, old[at : at + n], new, time)))
            read = new
        return tuple(np.concatenate([one[k] for one in found]) for k in range(3))  # type: ignore[return-value]


def _heads(layer: Layer, tensors: Mapping[str, Numbers], x: Numbers, h: Numbers) -> list[Numbers]:
    weight, bias = (tensors[name] for name in layer.kind.value.tensors[:2])
    read = np.concatenate((x, h)) if layer.kind.has_state else x
    return list((weight[:, : len(read)] @ read + bias).reshape(-1, layer.n))


def _gate_and_time(
    layer: Layer, tensors: Mapping[str, Numbers], x: Numbers, h: Numbers, new: Numbers, dt: float
) -> tuple[Numbers, Numbers]:
    none, kind = np.full(layer.n, np.nan), layer.kind
    if kind is Kind.LTC:
        sensed = x * tensors["input_w"] + tensors["input_b"]
        open_ = _conductance(tensors, sensed, "sensory_") + _conductance(tensors, new, "") + tensors["leak"]
        return none, tensors["capacity"] / open_
    decay = none
    if kind is Kind.GRU_D:
        rate = np.maximum(0.0, dt * tensors["decay_weight"] + tensors["decay_bias"])
        h, decay = h * np.exp(-rate), _inverse(rate / dt)
    heads = _heads(layer, tensors, x, h)
    match kind:
        case Kind.CFC | Kind.CFC_NO_GATE:
            return sigmoid(heads[2] * dt + heads[3]), _inverse(np.abs(heads[2]))
        case Kind.CFC_PURE:
            return none, _inverse(np.abs(tensors["w_tau"]) + np.abs(heads[0]))
        case Kind.GRU | Kind.GRU_D:
            return sigmoid(heads[1]), decay
        case Kind.LEAKY | Kind.LEAKY_NO_RESET:
            rate = softplus(heads[1 if kind is Kind.LEAKY else 0])
            return np.exp(-dt * rate), _inverse(rate)
        case Kind.LSTM_LAYER:
            return sigmoid(heads[2]), none
    return none, none


def _inverse(rate: Numbers) -> Numbers:
    with np.errstate(divide="ignore"):
        return np.minimum(1.0 / rate, 1e6)


def _conductance(tensors: Mapping[str, Numbers], v: Numbers, prefix: str) -> Numbers:
    sigma, mu, strength = (tensors[prefix + name] for name in ("sigma", "mu", "strength"))
    total: Numbers = (sigmoid(sigma * (v[:, None] - mu)) * strength).sum(0)
    return total


# ------------------------------------------------------------------------------------------------------------- circuit


def circuit_of(policy: Policy, observations: tuple[str, ...] = ()) -> Circuit:
    """Describe the neurons and synapses of a policy.

    Args:
        policy: any.
        observations: names of its numbers; by default ``"observation 1"`` and so on.
    """
    names = list(observations) or [f"observation {k + 1}" for k in range(policy.n_observations)]
    names += ["log dt"] if policy.reads_log_dt else []
    neurons = [Neuron(name, SENSORY, k) for k, name in enumerate(names)]
    synapses: list[Synapse] = []
    sources = sensory = list(range(len(neurons)))
    kinds = [layer.kind for layer in policy.layers]
    named = _names_of_layers(policy)
    for number, layer in enumerate(policy.layers):
        own = list(range(len(neurons), len(neurons) + layer.n))
        neurons += [Neuron(f"{name} {at + 1}", name, at) for name, at in named[number]]
        synapses += _synapses(layer, sources, own)
        sources = sensory if layer.kind is Kind.LSTM else own
    if policy.readout.kind is ReadoutKind.LINEAR:
        synapses += _outputs(policy, neurons, len(sensory))
    main = kinds[-1]
    mixes = Kind.CFC in kinds
    return Circuit(tuple(neurons), tuple(synapses), mixes, GATES.get(main, ""), TIMES.get(main, ""))


def _names_of_layers(policy: Policy) -> list[list[tuple[str, int]]]:
    """Name the layer of each neuron, and its place there, for every layer of the policy."""
    found, circuits = list[list[tuple[str, int]]](), [one for one in policy.layers if one.kind is not Kind.LSTM]
    columns = (INTER, COMMAND, MOTOR) if len(circuits) == 3 else tuple(f"layer {k + 1}" for k in range(len(circuits)))
    names = iter(columns)
    for layer in policy.layers:
        if layer.kind is Kind.LSTM:
            found.append([(MEMORY, k) for k in range(layer.n)])
        elif layer.kind is Kind.LTC:
            found.append(_places(_roles(policy, layer)))
        else:
            found.append(_places([next(names)] * layer.n))
    return found


def _places(roles: list[str]) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    found = []
    for role in roles:
        found.append((role, counts.get(role, 0)))
        counts[role] = counts.get(role, 0) + 1
    return found


def _roles(policy: Policy, layer: Layer) -> list[str]:
    """Tell the layers of an LTC's neurons apart: first the motor neurons, one for each output; inter neurons sense."""
    senses = (layer.tensors["sensory_strength"] != 0.0).any(0)
    return [MOTOR if k < policy.readout.n_out else INTER if senses[k] else COMMAND for k in range(layer.n)]


def _synapses(layer: Layer, sources: list[int], own: list[int]) -> list[Synapse]:
    if layer.kind is Kind.LTC:
        return _of_ltc(layer, sources, own, "sensory_") + _of_ltc(layer, own, own, "")
    weight = layer.tensors[layer.kind.value.tensors[0]].reshape(
        -1, layer.n, layer.tensors[layer.kind.value.tensors[0]].shape[1]
    )
    first, second = _BLENDED.get(layer.kind, (0, None))
    a, b = weight[first], np.zeros_like(weight[0]) if second is None else weight[second]
    every = [*sources, *own]
    found = []
    for target, source in np.argwhere((a != 0.0) | (b != 0.0)).tolist():
        if source < len(every):
            found.append(Synapse(every[source], own[target], float(a[target, source]), float(b[target, source])))
    return found


_BLENDED: Mapping[Kind, tuple[int, int | None]] = {
    Kind.CFC: (0, 1),
    Kind.CFC_NO_GATE: (0, 1),
    Kind.GRU: (2, None),
    Kind.GRU_D: (2, None),
    Kind.LEAKY: (2, None),
    Kind.LEAKY_NO_RESET: (1, None),
}
"""The heads whose weights a current is made of: those of the target that a neuron moves to. By default the first."""


def _of_ltc(layer: Layer, sources: list[int], own: list[int], prefix: str) -> list[Synapse]:
    sigma, mu, strength, erev = (layer.tensors[prefix + name] for name in ("sigma", "mu", "strength", "erev"))
    found = []
    for source, target in np.argwhere(strength != 0.0).tolist():
        numbers = tuple(float(part[source, target]) for part in (sigma, mu, strength, erev))
        sign = float(np.sign(erev[source, target]) * strength[source, target])
        found.append(Synapse(sources[source], own[target], sign, circuit=numbers))  # type: ignore[arg-type]
    return found


def _outputs(policy: Policy, neurons: list[Neuron], first: int) -> list[Synapse]:
    """Add what a linear map reads off the neurons, and the ways there."""
    readout = policy.readout
    assert readout.weight is not None
    begin = len(neurons)
    neurons += [Neuron(f"output {k + 1}", OUTPUT, k) for k in range(readout.n_out)]
    where = {layer.state_at + k: at for layer, at, k in _state_places(policy, first)}
    ways = np.argwhere(readout.weight != 0.0).tolist()
    return [
        Synapse(where[readout.state_at + source], begin + target, float(readout.weight[target, source]))
        for target, source in ways
        if readout.state_at + source in where
    ]


def _state_places(policy: Policy, first: int) -> list[tuple[Layer, int, int]]:
    found, at = [], first
    for layer in policy.layers:
        if layer.kind is not Kind.LSTM:
            found += [(layer, at + k, k) for k in range(layer.n)]
        at += layer.n
    return found
