"""Where ncps 1.0.1 is wrong, we are right: each test shows both."""

from __future__ import annotations

from typing import Any

import ncps.torch
import ncps.wirings
import pytest
import torch
from torch import Tensor

from velora.nn.cells import CfCCell, LayeredCell, LTCCell, make_cell
from velora.nn.sequence import unroll
from velora.nn.wiring import auto_ncp, ncp

from . import reference as ref

INPUTS, UNITS, OUTPUTS, STEPS = 3, 10, 2, 4


@pytest.fixture(autouse=True)
def _fixed_reference() -> None:
    """ncps draws its weights from the global generator."""
    torch.manual_seed(5)


def pair(kind: str) -> tuple[Any, Any]:
    """Give our cell and the ncps network the same weights."""
    ours = make_cell(kind, [auto_ncp(INPUTS, UNITS, OUTPUTS)], ref.generators(1))
    network = ncps.torch.CfC if kind == "cfc" else ncps.torch.LTC
    theirs = network(INPUTS, ncps.wirings.AutoNCP(UNITS, OUTPUTS))
    if kind == "cfc":
        ref.mask_time_heads(theirs.rnn_cell)
        ref.load_wired_cfc(ours, [theirs.rnn_cell])
    else:
        ref.load_ltc(ours, [theirs.rnn_cell])
    return ours, theirs


def one_by_one(theirs: Any, x: Tensor, dt: Tensor) -> Tensor:
    return torch.cat([theirs(x[b : b + 1], timespans=dt[b : b + 1])[0] for b in range(len(x))])


@pytest.mark.parametrize("kind", ["cfc", "ltc"])
@torch.no_grad()
def test_a_batch_of_time_spans_equals_its_samples_one_by_one(kind: str) -> None:
    ours, theirs = pair(kind)
    layer_size = 5  # of the inter layer; here ncps takes the batch axis for the neuron axis
    for batch in (layer_size, 4):
        x, dt = ref.noise(batch, STEPS, INPUTS), ref.irregular(batch, STEPS)
        states, _ = unroll(ours, x[None], ours.initial_state(batch), dt[None])
        torch.testing.assert_close(ours.readout(states)[0], one_by_one(theirs, x, dt), rtol=1e-6, atol=1e-6)
    with pytest.raises(RuntimeError, match="must match the size"):
        theirs(x, timespans=dt)


@pytest.mark.parametrize("kind", ["cfc", "ltc"])
@torch.no_grad()
def test_ncps_is_silently_wrong_where_batch_equals_neurons(kind: str) -> None:
    n = 6
    x, dt = ref.noise(n, STEPS, INPUTS), ref.irregular(n, STEPS)
    if kind == "cfc":
        ours: Any = CfCCell(INPUTS, n, ref.generators(1))
        theirs = ncps.torch.CfC(INPUTS, n, backbone_layers=0)
        ref.load_cfc(ours, [theirs.rnn_cell])
    else:
        ours = LTCCell([auto_ncp(INPUTS, n, OUTPUTS)], ref.generators(1))
        theirs = ncps.torch.LTC(INPUTS, ncps.wirings.AutoNCP(n, OUTPUTS))
        ref.load_ltc(ours, [theirs.rnn_cell])
    states, _ = unroll(ours, x[None], ours.initial_state(n), dt[None])
    right = one_by_one(theirs, x, dt)
    torch.testing.assert_close(ours.readout(states)[0], right, rtol=1e-6, atol=1e-6)
    assert (theirs(x, timespans=dt)[0] - right).abs().max() > 0.01


@torch.no_grad()
def test_an_unwired_input_reaches_no_head() -> None:
    theirs = ncps.torch.CfC(INPUTS, ncps.wirings.AutoNCP(UNITS, OUTPUTS)).rnn_cell
    ours = make_cell("cfc", [auto_ncp(INPUTS, UNITS, OUTPUTS)], ref.generators(1))
    assert isinstance(ours, LayeredCell)
    ref.load_wired_cfc(ours, [theirs])  # with the unmasked time heads of ncps
    wired = auto_ncp(INPUTS, UNITS, OUTPUTS).layer_masks()[0]
    x, h, one = ref.noise(1, INPUTS), ref.noise(1, UNITS), torch.ones(1, 1)
    for source in range(INPUTS):
        moved = x.clone()
        moved[0, source] += 1.0
        unwired = torch.from_numpy(~wired[:, source])
        assert unwired.any()
        inter = slice(0, len(wired))
        change = ours(moved[None], h[None], one)[0] - ours(x[None], h[None], one)[0]
        leak = theirs(moved, h, one)[1] - theirs(x, h, one)[1]
        assert (change[0, inter][unwired] == 0).all()
        assert (change[0, inter][~unwired] != 0).all()
        assert (leak[0, inter][unwired] != 0).all()


def test_the_pure_form_starts_at_constants_that_can_learn() -> None:
    ours = CfCCell(INPUTS, UNITS, ref.generators(2), mode="pure")
    assert (ours.w_tau == 0.1).all()
    assert (ours.A == 1).all()
    theirs = ncps.torch.CfCCell(INPUTS, UNITS, mode="pure")
    assert (theirs.w_tau != 0).any()
    assert (theirs.A != 1).all()


def test_a_wiring_serves_two_networks_and_stays_the_same() -> None:
    ours = auto_ncp(INPUTS, UNITS, OUTPUTS)
    before = ours.adjacency.copy(), ours.sensory_adjacency.copy()
    first, second = (make_cell("cfc", [ours], ref.generators(1)) for _ in range(2))
    assert (before[0] == ours.adjacency).all()
    assert (before[1] == ours.sensory_adjacency).all()
    for name, value in first.state_dict().items():
        assert value.equal(second.state_dict()[name])

    theirs = ncps.wirings.AutoNCP(UNITS, OUTPUTS)
    ncps.torch.CfC(INPUTS, theirs)
    once = int((theirs.adjacency_matrix != 0).sum())
    ncps.torch.CfC(INPUTS, theirs)
    assert (theirs.adjacency_matrix != 0).sum() > once


def test_full_control_can_be_described_and_made_again() -> None:
    sizes = {"inter": 6, "command": 4, "motor": 2}
    fans = {"sensory_fan_out": 3, "inter_fan_out": 2, "recurrent_command_synapses": 4, "motor_fan_in": 2}
    assert (ncp(INPUTS, **sizes, **fans).adjacency == ncp(INPUTS, **sizes, **fans).adjacency).all()
    theirs = ncps.wirings.NCP(*sizes.values(), *fans.values())
    with pytest.raises(TypeError):
        ncps.wirings.NCP.from_config(theirs.get_config())


@torch.no_grad()
def test_no_elapsed_time_leaves_an_ltc_as_it_is() -> None:
    ours, theirs = pair("ltc")
    x, h = ref.noise(1, 4, INPUTS), ref.noise(1, 4, UNITS)
    torch.testing.assert_close(ours(x, h, torch.zeros(1, 4)), h)
    assert theirs.rnn_cell(x[0], h[0], torch.zeros(4, 1))[1].isnan().all()


def test_masks_are_no_parameters() -> None:
    ours, theirs = pair("cfc")
    assert all(parameter.requires_grad for parameter in ours.parameters())
    assert not all(parameter.requires_grad for parameter in theirs.parameters())
