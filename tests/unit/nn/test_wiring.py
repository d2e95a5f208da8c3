"""The circuits equal ncps's, draw by draw, and say what doesn't fit."""

from __future__ import annotations

import dataclasses

import ncps.wirings
import numpy as np
import pytest

from velora.core.errors import SettingError, ShapeError
from velora.nn.wiring import NCPWiring, auto_ncp, ncp

SMALL = {
    "inter": 4,
    "command": 3,
    "motor": 2,
    "sensory_fan_out": 2,
    "inter_fan_out": 2,
    "recurrent_command_synapses": 3,
    "motor_fan_in": 2,
}


@pytest.mark.parametrize(
    ("inputs", "units", "outputs", "sparsity", "seed"),
    [
        (4, 21, 1, 0.5, 22222),
        (8, 28, 4, 0.5, 22222),
        (17, 64, 6, 0.5, 1),
        (3, 8, 2, 0.9, 7),
        (1, 5, 2, 0.1, 3),
        (30, 40, 8, 0.8, 5),
        (2, 40, 3, 1.0, 6),
        (1, 4, 1, 0.5, 0),
    ],
)
def test_auto_ncp_equals_ncps(inputs: int, units: int, outputs: int, sparsity: float, seed: int) -> None:
    theirs = ncps.wirings.AutoNCP(units, outputs, sparsity, seed)
    theirs.build(inputs)
    ours = auto_ncp(inputs, units, outputs, sparsity=sparsity, seed=seed)
    np.testing.assert_array_equal(ours.adjacency, theirs.adjacency_matrix)
    np.testing.assert_array_equal(ours.sensory_adjacency, theirs.sensory_adjacency_matrix)


# With seed 45 and (7, 2, 1) all inter neurons pick the same command neuron; ncps then repairs the other one with 2
# synapses, not 3, as it bounds the repair by the wrong layer.
@pytest.mark.parametrize("seed", [0, 9, 45, 22222])
@pytest.mark.parametrize(
    ("inputs", "sizes", "fans"),
    [
        (2, (7, 2, 1), (2, 1, 0, 1)),
        (7, (10, 5, 3), (4, 2, 6, 3)),
        (32, (12, 6, 1), (4, 4, 6, 6)),
        (1, (9, 2, 5), (1, 1, 0, 1)),
        (2, (3, 8, 6), (3, 1, 20, 1)),
    ],
)
def test_full_control_equals_ncps(
    inputs: int, sizes: tuple[int, int, int], fans: tuple[int, int, int, int], seed: int
) -> None:
    theirs = ncps.wirings.NCP(*sizes, *fans, seed=seed)
    theirs.build(inputs)
    names = ("sensory_fan_out", "inter_fan_out", "recurrent_command_synapses", "motor_fan_in")
    ours = ncp(
        inputs,
        inter=sizes[0],
        command=sizes[1],
        motor=sizes[2],
        seed=seed,
        **dict(zip(names, fans, strict=True)),
    )
    np.testing.assert_array_equal(ours.adjacency, theirs.adjacency_matrix)
    np.testing.assert_array_equal(ours.sensory_adjacency, theirs.sensory_adjacency_matrix)


def test_layer_masks_are_the_adjacency_seen_from_the_target() -> None:
    wiring = ncp(5, **SMALL)
    inter, command, motor = wiring.layer_masks()
    assert (inter.shape, command.shape, motor.shape) == ((4, 5), (3, 4), (2, 3))
    # Ids: motor 0-1, command 2-4, inter 5-8.
    for source in range(5):
        for target in range(4):
            assert inter[target, source] == (wiring.sensory_adjacency[source, 5 + target] != 0)
    for source in range(4):
        for target in range(3):
            assert command[target, source] == (wiring.adjacency[5 + source, 2 + target] != 0)
    for source in range(3):
        for target in range(2):
            assert motor[target, source] == (wiring.adjacency[2 + source, target] != 0)


def test_every_neuron_is_reached_and_every_command_neuron_is_read() -> None:
    for seed in range(20):
        inter, command, motor = auto_ncp(2, 30, 2, sparsity=0.9, seed=seed).layer_masks()
        assert inter.any(1).all()
        assert command.any(1).all()
        assert motor.any(1).all()
        assert motor.any(0).all()


def test_a_wiring_counts_its_synapses() -> None:
    wiring = auto_ncp(4, 21, 1)
    assert wiring.units == 21
    assert wiring.n_synapses == np.abs(wiring.adjacency).sum()
    # 4 inputs reach 6 inter neurons each; with this seed 2 of the 12 are left out and get 2 inputs each.
    assert wiring.n_sensory_synapses == 28
    total = 28 + wiring.n_synapses
    assert wiring.describe() == f"4 inputs -> 12 inter -> 8 command -> 1 motor, {total} synapses"


def test_sparsity_zero_connects_everything() -> None:
    assert all(mask.all() for mask in auto_ncp(3, 12, 2, sparsity=0.0).layer_masks())


def test_a_wiring_never_changes() -> None:
    mine = np.zeros((9, 9), np.int32)
    wiring = NCPWiring(5, 4, 3, 2, mine, np.zeros((5, 9), np.int32))
    mine[5, 2] = 1
    assert wiring.n_synapses == 0
    with pytest.raises(ValueError, match="read-only"):
        wiring.adjacency[5, 2] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        wiring.motor = 3  # type: ignore[misc]


def test_too_few_neurons_names_the_least() -> None:
    with pytest.raises(SettingError, match=r"2 outputs need at least 5 neurons .* got 4"):
        auto_ncp(3, 4, 2)


@pytest.mark.parametrize("sparsity", [-0.1, 1.1, float("nan")])
def test_sparsity_outside_its_range_is_refused(sparsity: float) -> None:
    with pytest.raises(SettingError, match="sparsity: expected a number in"):
        auto_ncp(3, 9, 2, sparsity=sparsity)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sensory_fan_out": 5}, "sensory_fan_out: expected 1 to 4 .there are 4 inter neurons., got 5"),
        ({"inter_fan_out": 0}, "inter_fan_out: expected 1 to 3"),
        ({"motor_fan_in": 4}, "motor_fan_in: expected 1 to 3"),
        ({"recurrent_command_synapses": -1}, "recurrent_command_synapses: expected at least 0"),
        ({"motor": 0}, "motor: expected at least 1"),
        ({"seed": -1}, "seed: expected at least 0"),
    ],
)
def test_full_control_refuses_what_does_not_fit(changed: dict[str, int], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        ncp(5, **(SMALL | changed))


def test_arrays_that_do_not_fit_the_sizes_are_refused() -> None:
    with pytest.raises(ShapeError, match="sensory_adjacency: expected shape"):
        NCPWiring(5, 4, 3, 2, np.zeros((9, 9), np.int32), np.zeros((4, 9), np.int32))


def test_a_synapse_between_layers_that_do_not_touch_is_refused() -> None:
    adjacency = np.zeros((9, 9), np.int32)
    adjacency[0, 5] = 1  # motor to inter
    with pytest.raises(SettingError, match="got another one"):
        NCPWiring(5, 4, 3, 2, adjacency, np.zeros((5, 9), np.int32))
