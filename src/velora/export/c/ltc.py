"""The liquid time-constant layer: its synapses in the order in which C walks through them, and the same in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.export.c.arithmetic import Arithmetic
from velora.export.c.templates import fill, text
from velora.export.policy import Layer

Array = NDArray[Any]
_SYNAPSE = ("sigma", "mu", "strength", "erev")


def pack(layer: Layer) -> tuple[list[float], list[int]]:
    """Return the numbers and lists of sources: of inputs, each neuron's sensory synapses, then the others."""
    t = layer.tensors
    numbers = np.stack((t["input_w"], t["input_b"]), 1).ravel().tolist()
    sources: list[int] = []
    for neuron in range(layer.n):
        numbers += [float(t["leak"][neuron]), float(t["leak"][neuron] * t["vleak"][neuron])]
        _add(layer, "sensory_", neuron, numbers, sources)
    for neuron in range(layer.n):
        numbers.append(float(t["capacity"][neuron]))
        _add(layer, "", neuron, numbers, sources)
    return numbers, sources


def _add(layer: Layer, prefix: str, neuron: int, numbers: list[float], sources: list[int]) -> None:
    there = np.flatnonzero(layer.tensors[prefix + "strength"][:, neuron])
    sources += [len(there), *there.tolist()]
    numbers += np.stack([layer.tensors[prefix + name][there, neuron] for name in _SYNAPSE], 1).ravel().tolist()


def c_function(layers: Sequence[Layer]) -> tuple[str, set[str]]:
    """Return the C function for all layers, and the names of the functions that it calls."""
    most = {"INPUTS": max(layer.n_in for layer in layers), "MOST": max(layer.n for layer in layers)}
    return fill(text("ltc.c"), {name: str(number) for name, number in most.items()}), {"sigmoid"}


def step(f: Arithmetic, layer: Layer, x: Array, v: Array, dt: Array) -> Array:
    """Compute the new state in float32, in the order of the C function."""
    t = layer.tensors
    x = x * t["input_w"] + t["input_b"]
    conductance, pull = _currents(f, layer, "sensory_", x, t["leak"], t["leak"] * t["vleak"])
    part = dt / np.float32(layer.unfolds)
    for _ in range(layer.unfolds):
        opened, drawn = _currents(f, layer, "", v, conductance, pull)
        v = (t["capacity"] * v + part * drawn) / (t["capacity"] + part * opened)
    return v


def _currents(
    f: Arithmetic, layer: Layer, prefix: str, v: Array, conductance: Array, pull: Array
) -> tuple[Array, Array]:
    """Add the synapses' conductance and pull to those given, one source after another, (n,) each."""
    sigma, mu, strength, erev = (layer.tensors[prefix + name] for name in _SYNAPSE)
    for source in range(len(sigma)):
        opening = f.sigmoid(sigma[source] * (v[source] - mu[source])) * strength[source]
        there = strength[source] != 0
        conductance = np.where(there, conductance + opening, conductance)
        pull = np.where(there, pull + opening * erev[source], pull)
    return conductance, pull
