"""The neurons of a policy in layers, and the synapses that join them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from velora.export.policy import Layer, Policy
from velora.kernels.layers import Kind
from velora.kernels.plan import ReadoutKind
from velora.watch.neurons import GATES, TIMES

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

    ``current = ((1 - mixes * gate) a + gate b) x`` of its source's activity x and its target's gate, or ``a x`` where
    that is a memory; of an LTC ``strength sigmoid(sigma (x - mu)) (erev - v)``, v its target's activity, with the four
    in ``circuit``.

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

    @property
    def counted(self) -> str:
        """Number of synapses in words; those inside a layer, which a drawing of the wiring leaves out, apart."""
        inside = sum(self.neurons[one.source].layer == self.neurons[one.target].layer for one in self.synapses)
        between = f"{len(self.synapses) - inside:,} synapses between layers"
        return f"{between}, {inside:,} inside them" if inside else between


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
    memory: list[int] = []
    for number, layer in enumerate(policy.layers):
        own = list(range(len(neurons), len(neurons) + layer.n))
        neurons += [Neuron(f"{name} {at + 1}", name, at) for name, at in named[number]]
        if layer.kind is Kind.LSTM:  # it reads the circuit's old state, and the circuit reads it instead of its own
            memory, circuit = own, [at + layer.n for at in own]
            synapses += _synapses(layer, sensory, own, circuit)
            continue
        old = memory[layer.state_at : layer.state_at + layer.n] or own
        synapses += _synapses(layer, sources, own, old)
        sources = own
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


def _synapses(layer: Layer, sources: list[int], own: list[int], old: list[int]) -> list[Synapse]:
    """List the synapses of a layer, whose heads read its sources and then the neurons ``old``."""
    if layer.kind is Kind.LTC:
        return _of_ltc(layer, sources, own, "sensory_") + _of_ltc(layer, old, own, "")
    weight = layer.tensors[layer.kind.value.tensors[0]].reshape(
        -1, layer.n, layer.tensors[layer.kind.value.tensors[0]].shape[1]
    )
    first, second = _BLENDED.get(layer.kind, (0, None))
    a, b = weight[first], np.zeros_like(weight[0]) if second is None else weight[second]
    every = [*sources, *old]
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
