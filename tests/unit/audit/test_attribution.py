"""Attribution along a circuit that can be followed by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from velora.audit.attribution import attribute, mean_currents
from velora.export.describe import describe
from velora.models import LiquidSAC, LiquidTD3
from velora.watch.circuit import Circuit, Neuron, Synapse, circuit_of
from velora.watch.trace import trace


def small() -> Circuit:
    names = [("a", "sensory"), ("b", "sensory"), ("i", "inter"), ("c", "command"), ("m", "motor")]
    neurons = tuple(Neuron(name, layer, 0) for name, layer in names)
    ways = [(0, 2), (1, 2), (2, 3), (3, 3), (3, 4), (4, 4)]
    return Circuit(neurons, tuple(Synapse(source, target, 1.0) for source, target in ways), True, "", "")


def test_shares_follow_currents_and_sum_to_one() -> None:
    strength = np.array([3.0, 1.0, 2.0, 2.0, 4.0, 1.0])
    answers, found = attribute(small(), strength)
    assert answers == (4,)
    # The motor neuron hands 4/5 to c; c hands half of that to i, the rest is its past; i hands on 3/4 and 1/4.
    np.testing.assert_allclose(found, [[0.8 * 0.5 * 0.75, 0.8 * 0.5 * 0.25, 0.2 + 0.8 * 0.5]])


def test_what_nothing_drives_is_memory() -> None:
    _, found = attribute(small(), np.array([0.0, 0.0, 1.0, 0.0, 1.0, 0.0]))
    assert found.tolist() == [[0.0, 0.0, 1.0]]


@pytest.mark.parametrize("settings", [{"cell": "cfc"}, {"cell": "ltc"}, {"cell": "cfc", "mixed_memory": True}])
def test_every_answer_is_handed_out_whole(settings: dict[str, Any]) -> None:
    agent = LiquidSAC(3, 12, 1, seed=1, device="cpu", **settings)
    circuit = circuit_of(describe(agent))
    strength = np.random.default_rng(0).uniform(size=len(circuit.synapses))
    answers, found = attribute(circuit, strength)
    assert [circuit.neurons[at].name for at in answers] == ["output 1"]
    np.testing.assert_allclose(found.sum(1), 1.0)
    assert (found[:, :3] > 0.0).all()


def test_currents_of_a_trace_add_up_to_what_a_neuron_reads() -> None:
    found = trace(LiquidTD3(3, 12, 1, seed=1, device="cpu"), "Pendulum-v1", seed=3, max_steps=6)
    layer, step = found.policy.layers[0], 4
    gate = found.gate[step, : layer.n]
    read = np.concatenate((found.network_input[step], found.activity[step - 1, : layer.n]))
    weight = layer.tensors["heads.weight"].reshape(4, layer.n, -1)
    expected = (1.0 - gate) * (weight[0] @ read) + gate * (weight[1] @ read)
    into = np.zeros(layer.n)
    for number, one in enumerate(found.circuit.synapses):
        if 3 <= one.target < 3 + layer.n:
            into[one.target - 3] += found.current[step, number]
    np.testing.assert_allclose(into, expected, atol=1e-5)


def test_mean_currents_weigh_every_step_alike() -> None:
    found = mean_currents([np.array([[1.0, -2.0]], np.float32), np.array([[-3.0, 0.0], [2.0, 1.0]], np.float32)])
    np.testing.assert_allclose(found, [2.0, 1.0])
