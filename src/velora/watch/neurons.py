"""What each neuron of a policy does in a step: its activity, its gate and its time constant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.export.policy import Layer, Policy
from velora.export.replay import sigmoid, softplus
from velora.kernels.layers import Kind

Numbers = NDArray[Any]

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
                revealed = sigmoid(_heads(layer, tensors, x, old[:n])[3]) * np.tanh(memory)
                found.append((revealed, keep, np.full(n, np.nan)))
                old = np.concatenate((revealed, memory))
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
