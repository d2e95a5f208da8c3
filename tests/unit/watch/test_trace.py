"""What a trace says of neurons is what the policy did."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from velora.core.errors import ExportError, SettingError
from velora.export.replay import sigmoid
from velora.kernels.layers import Kind
from velora.models import LiquidDDPG, LiquidPPO, LiquidSAC
from velora.nn.cells.registry import VARIANTS
from velora.watch.neurons import GATES, TIMES
from velora.watch.trace import Trace, trace


def lived(name: str, steps: int = 12) -> Trace:
    options: dict[str, Any] = dict(VARIANTS[name])
    mode, mixed = options.get("mode", "default"), options.get("mixed_memory", False)
    settings: dict[str, Any] = {"cell": name.split()[0], "cell_mode": mode, "mixed_memory": mixed}
    agent = LiquidSAC(3, 12, 1, seed=1, device="cpu", **settings)
    return trace(agent, "Pendulum-v1", seed=3, max_steps=steps)


@pytest.mark.parametrize("name", VARIANTS)
def test_activities_are_the_states_of_the_circuit(name: str) -> None:
    found = lived(name)
    own = [layer for layer in found.policy.layers if layer.kind is not Kind.LSTM]
    states = np.concatenate([found.state[:, layer.state_at : layer.state_at + layer.n] for layer in own], 1)
    np.testing.assert_array_equal(found.activity[:, -states.shape[1] :], states)
    kind = found.policy.layers[-1].kind
    n = found.policy.layers[-1].n
    assert np.isfinite(found.gate[:, -n:]).all() == (kind in GATES)
    assert np.isfinite(found.time_constant[:, -n:]).all() == (kind in TIMES)
    assert (found.time_constant[:, -n:][np.isfinite(found.time_constant[:, -n:])] > 0.0).all()
    assert len(found.circuit.neurons) == 3 + found.activity.shape[1] + 1
    assert found.circuit.neurons[-1].name == "output 1"


def test_synapses_and_gates_of_a_cfc_give_its_next_state() -> None:
    found = lived("cfc")
    step, activity = 7, np.concatenate((found.network_input, found.activity), 1)
    (layer, *_), n_sensed = found.policy.layers, 3
    targets = range(n_sensed, n_sensed + layer.n)
    biases = layer.tensors["heads.bias"].reshape(4, layer.n)
    sums = biases[:2].astype(np.float64)
    for one in found.circuit.synapses:
        if one.target in targets:
            x = activity[step - (one.source >= n_sensed), one.source]
            sums[:, one.target - n_sensed] += np.array([one.a, one.b]) * x
    gate = found.gate[step, : layer.n]
    expected = (1.0 - gate) * np.tanh(sums[0]) + gate * np.tanh(sums[1])
    np.testing.assert_allclose(found.activity[step, : layer.n], expected, atol=2e-6)


def test_what_a_memory_keeps_mixes_no_weights() -> None:
    found = lived("cfc mixed")
    neurons, seen = found.circuit.neurons, np.concatenate((found.network_input, found.activity), 1)
    current, n_checked = found.current, 0
    for number, one in enumerate(found.circuit.synapses):
        if neurons[one.target].layer == "memory":
            is_sensed = neurons[one.source].layer == "sensory"
            expected = one.a * seen[7 if is_sensed else 6, one.source]
            assert current[7, number] == pytest.approx(expected, rel=1e-5, abs=1e-7)
            n_checked += 1
    assert n_checked > 100


def test_the_gate_of_a_gru_is_the_share_of_the_old_state_that_stays() -> None:
    found = lived("gru")
    layer = found.policy.layers[0]
    weight, bias = layer.tensors["heads.weight"], layer.tensors["heads.bias"]
    read = np.concatenate((found.network_input[5], found.activity[4, : layer.n]))
    kept = sigmoid(weight[layer.n : 2 * layer.n] @ read + bias[layer.n : 2 * layer.n])
    np.testing.assert_allclose(found.gate[5, : layer.n], kept, atol=1e-6)


def test_layers_of_an_ltc_are_told_apart_by_its_synapses() -> None:
    layers = lived("ltc").circuit.layers
    assert {name: len(members) for name, members in layers.items()} == {
        "sensory": 3,
        "inter": 8,
        "command": 4,
        "motor": 1,
        "output": 1,
    }


def test_an_episode_is_as_evaluation_plays_it() -> None:
    found = lived("cfc", steps=200)
    assert (found.n_steps, found.environment) == (200, "Pendulum-v1")
    assert found.episode_return == pytest.approx(float(found.reward.sum()), rel=1e-5)
    assert lived("cfc", steps=200).reset_seed == found.reset_seed
    np.testing.assert_array_equal(lived("cfc", steps=200).action, found.action)
    assert np.abs(found.action).max() <= 2.0
    assert not found.pictures


def test_a_discrete_action_is_its_number() -> None:
    found = trace(LiquidPPO(4, 10, 2, discrete=True, seed=0, device="cpu"), "CartPole-v1", max_steps=20)
    assert set(found.action.ravel().tolist()) <= {0.0, 1.0}


def test_what_cant_be_traced_is_refused() -> None:
    with pytest.raises(SettingError, match="max_steps of at least 1, got 0"):
        trace(LiquidDDPG(3, 10, 1, seed=0), "Pendulum-v1", max_steps=0)
    with pytest.raises(ExportError, match="2 seeds"):
        trace(LiquidDDPG(3, 10, 1, seeds=[0, 1]), "Pendulum-v1")


class Rooms(gym.Env[Any, Any]):
    """An environment whose observation is no flat box, as long as it is told."""

    def __init__(self, seen: gym.Space[Any], n_steps: int = 4) -> None:
        self.observation_space, self.action_space = seen, gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.n_steps, self.left = n_steps, n_steps

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self.left = self.n_steps
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.left -= 1
        return self.observation_space.sample(), 1.0, self.left == 0, False, {}


@pytest.mark.parametrize(
    ("seen", "size"),
    [
        (gym.spaces.Discrete(5), 5),
        (gym.spaces.Box(-1.0, 1.0, ()), 1),
        (gym.spaces.Box(-1.0, 1.0, (3, 2)), 6),
        (gym.spaces.Dict(a=gym.spaces.Box(-1.0, 1.0, (2,)), b=gym.spaces.Discrete(2)), 4),
    ],
)
def test_observations_of_an_environment_are_made_flat_as_in_training(seen: gym.Space[Any], size: int) -> None:
    found = trace(LiquidDDPG(size, 8, 1, seed=0, device="cpu"), Rooms(seen))
    assert (found.observation.shape, found.n_steps) == ((4, size), 4)


def test_neurons_that_sense_are_called_as_what_they_sense() -> None:
    seen = gym.spaces.Dict(load=gym.spaces.Discrete(2), position=gym.spaces.Box(-1.0, 1.0, (2,)))
    found = trace(LiquidDDPG(4, 8, 1, seed=0, device="cpu"), Rooms(seen))
    assert found.quantities["observation"].columns == ("load=0", "load=1", "position[0]", "position[1]")
