"""Random and dense circuits beside neural circuit policies."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from velora.core.errors import SettingError
from velora.nn.cells import CELL_KINDS, make_cell
from velora.nn.sequence import unroll
from velora.nn.wiring import NCPWiring, auto_ncp
from velora.nn.wiring.kinds import WIRING_KINDS, make_wiring

from . import reference as ref

SIZES = [(4, 21, 1), (1, 4, 1), (17, 64, 6), (2, 40, 20), (1, 30, 8), (30, 12, 2)]
SPARSITIES = [0.0, 0.5, 0.9, 1.0]


def blocks(wiring: NCPWiring) -> list[int]:
    """Count the synapses between any two layers."""
    commands = slice(wiring.motor, wiring.motor + wiring.command)
    recurrent = wiring.adjacency[commands, commands] != 0
    return [int(mask.sum()) for mask in (*wiring.layer_masks(), recurrent)]


def test_an_ncp_is_that_of_auto_ncp() -> None:
    ours, theirs = make_wiring("ncp", 4, 21, 1, sparsity=0.3, seed=7), auto_ncp(4, 21, 1, sparsity=0.3, seed=7)
    np.testing.assert_array_equal(ours.adjacency, theirs.adjacency)
    np.testing.assert_array_equal(ours.sensory_adjacency, theirs.sensory_adjacency)


@pytest.mark.parametrize("sparsity", SPARSITIES)
@pytest.mark.parametrize("size", SIZES)
def test_a_random_wiring_has_as_many_synapses_and_reaches_every_motor_neuron(
    size: tuple[int, int, int], sparsity: float
) -> None:
    for seed in range(20):
        ncp, random = (make_wiring(kind, *size, sparsity=sparsity, seed=seed) for kind in ("ncp", "random"))
        assert (random.inter, random.command, random.motor) == (ncp.inter, ncp.command, ncp.motor)
        assert blocks(random) == blocks(ncp)
        inter, command, motor = (mask.astype(int) for mask in random.layer_masks())
        assert (motor @ command @ inter).any(1).all()


def test_random_synapses_may_be_anywhere() -> None:
    """Over many seeds every pair of neurons is connected about equally often."""
    n = 400
    wirings = [make_wiring("random", 3, 16, 2, seed=seed) for seed in range(n)]
    _, command, _ = (sum(masks) for masks in zip(*[w.layer_masks() for w in wirings], strict=True))
    share = blocks(wirings[0])[1] / command.size
    assert np.abs(command / n - share).max() < 5 * np.sqrt(share * (1 - share) / n)
    least = min(int(w.layer_masks()[1].sum(0).min()) for w in wirings)
    assert least < auto_ncp(3, 16, 2).layer_masks()[1].sum(0).min()  # an NCP gives every source its share


def test_a_random_wiring_follows_its_seed() -> None:
    one, same, other = (make_wiring("random", 4, 21, 1, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.adjacency, same.adjacency)
    np.testing.assert_array_equal(one.sensory_adjacency, same.sensory_adjacency)
    assert (one.adjacency != other.adjacency).any()


def test_a_dense_wiring_has_every_synapse_of_either_sign() -> None:
    wiring = make_wiring("dense", 4, 21, 1, sparsity=0.9)
    assert blocks(wiring) == [12 * 4, 8 * 12, 1 * 8, 8 * 8]
    assert set(np.unique(wiring.adjacency)) == {-1, 0, 1}
    assert set(np.unique(wiring.sensory_adjacency)) == {-1, 0, 1}


@pytest.mark.parametrize("wiring", WIRING_KINDS)
@pytest.mark.parametrize("kind", CELL_KINDS)
def test_every_cell_takes_every_wiring(kind: str, wiring: str) -> None:
    wirings = [make_wiring(wiring, 3, 9, 2, sparsity=0.8, seed=seed) for seed in range(2)]
    cell = make_cell(kind, wirings, ref.generators(2))
    x = ref.noise(2, 4, 3, 3).requires_grad_()
    states, _ = unroll(cell, x, cell.initial_state(4), torch.ones(2, 4, 3))
    cell.readout(states)[..., -1, :].square().sum().backward()
    assert x.grad is not None
    assert (x.grad[:, :, -1] != 0).any(2).all()


def test_an_unknown_wiring_is_refused() -> None:
    with pytest.raises(SettingError, match="wiring: expected one of ncp, random, dense, got 'small world'"):
        make_wiring("small world", 3, 9, 2)
    with pytest.raises(SettingError, match=r"2 outputs need at least 5 neurons"):
        make_wiring("random", 3, 4, 2)
