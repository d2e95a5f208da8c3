"""The same weights in ncps and here give the same outputs, wherever ncps is right."""

from __future__ import annotations

from typing import Any

import ncps.torch
import ncps.wirings
import pytest
import torch
from torch import Tensor

from velora.nn.cells import BackboneSettings, Cell, CfCCell, GRUCell, LTCCell, MixedMemoryCell, make_cell
from velora.nn.sequence import unroll
from velora.nn.wiring import auto_ncp

from . import reference as ref

INPUTS, UNITS, OUTPUTS, STEPS, BATCH = 5, 16, 3, 12, 4
WIRING_SEEDS = (22222, 7)
MODES = ("default", "pure", "no_gate")
CLOSE: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-6}


@pytest.fixture(autouse=True)
def _fixed_reference() -> None:
    """ncps draws its weights from the global generator."""
    torch.manual_seed(11)


@torch.no_grad()
def assert_same_sequence(ours: Cell, theirs: list[Any]) -> None:
    """Compare outputs and states over sequences with equal and with irregular time steps.

    ncps takes irregular steps correctly for one sample at a time only.
    """
    x = ref.noise(len(theirs), BATCH, STEPS, INPUTS)
    dt = ref.irregular(len(theirs), BATCH, STEPS)
    start = ours.initial_state(BATCH)
    regular, _ = unroll(ours, x, start, torch.ones_like(dt))
    irregular, last = unroll(ours, x, start, dt)
    for k, model in enumerate(theirs):
        expected, _ = model(x[k])
        torch.testing.assert_close(ours.readout(regular)[k], expected, **CLOSE)
        for b in range(BATCH):
            expected, state = model(x[k, b : b + 1], timespans=dt[k, b : b + 1])
            state = torch.cat(state, 1) if isinstance(state, tuple) else state
            torch.testing.assert_close(ours.readout(irregular)[k, b : b + 1], expected, **CLOSE)
            torch.testing.assert_close(last[k, b : b + 1], state, **CLOSE)


@torch.no_grad()
def assert_same_batched_steps(ours: Cell, theirs: list[Any]) -> None:
    """Compare single steps of a batch with a time per sample, which ncps's bare cells take as a column."""
    h = ours.initial_state(BATCH)
    for t in range(STEPS):
        x, dt = ref.noise(len(theirs), BATCH, INPUTS, seed=t), ref.irregular(len(theirs), BATCH, seed=t)
        h_before, h = h, ours(x, h, dt)
        for k, cell in enumerate(theirs):
            output, state = cell(x[k], h_before[k], dt[k, :, None])
            torch.testing.assert_close(ours.readout(h)[k], output, **CLOSE)
            torch.testing.assert_close(h[k], state, **CLOSE)


def wired_pair(kind: str, mode: str = "default", *, mixed: bool = False) -> tuple[Cell, list[Any]]:
    """Make our two-seed cell and two ncps networks, all on the same circuits; ncps's leak is repaired."""
    wirings = [auto_ncp(INPUTS, UNITS, OUTPUTS, seed=seed) for seed in WIRING_SEEDS]
    ours = make_cell(kind, wirings, ref.generators(2), mode=mode, mixed_memory=mixed)
    options: dict[str, Any] = {"mode": mode} if kind == "cfc" else {}
    network = ncps.torch.CfC if kind == "cfc" else ncps.torch.LTC
    theirs = []
    for seed in WIRING_SEEDS:
        # ncps's network adds the synapses to the wiring, so each network needs a new one.
        wiring = ncps.wirings.AutoNCP(UNITS, OUTPUTS, seed=seed)
        theirs.append(network(INPUTS, wiring, mixed_memory=mixed, **options))
    liquid = ours.cell if isinstance(ours, MixedMemoryCell) else ours
    assert isinstance(liquid, Cell)
    cells = [model.rnn_cell for model in theirs]
    if kind == "cfc":
        for cell in cells:
            ref.mask_time_heads(cell)
        ref.load_wired_cfc(liquid, cells)
    else:
        ref.load_ltc(liquid, cells)
    if mixed:
        ref.load_lstm(ours, [model.lstm for model in theirs])
    return ours, theirs


@pytest.mark.parametrize("mode", MODES)
def test_wired_cfc(mode: str) -> None:
    ours, theirs = wired_pair("cfc", mode)
    assert_same_sequence(ours, theirs)
    assert_same_batched_steps(ours, [model.rnn_cell for model in theirs])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "backbone",
    [
        None,
        BackboneSettings(),
        BackboneSettings(9, 3, "silu"),
        BackboneSettings(9, 1, "gelu"),
        BackboneSettings(9, 2, "relu"),
    ],
    ids=["none", "default", "silu", "gelu", "relu"],
)
def test_dense_cfc(mode: Any, backbone: BackboneSettings | None) -> None:
    ours = CfCCell(INPUTS, UNITS, ref.generators(2), mode=mode, backbone=backbone)
    options: dict[str, Any] = {"backbone_layers": 0}
    if backbone is not None:
        options = {
            "backbone_units": backbone.units,
            "backbone_layers": backbone.layers,
            "activation": backbone.activation,
        }
    theirs = [ncps.torch.CfC(INPUTS, UNITS, mode=mode, **options) for _ in range(2)]
    ref.load_cfc(ours, [model.rnn_cell for model in theirs])
    assert_same_sequence(ours, theirs)
    assert_same_batched_steps(ours, [model.rnn_cell for model in theirs])


@pytest.mark.parametrize("kind", ["cfc", "ltc"])
def test_mixed_memory(kind: str) -> None:
    assert_same_sequence(*wired_pair(kind, mixed=True))


def test_ltc() -> None:
    ours, theirs = wired_pair("ltc")
    assert_same_sequence(ours, theirs)
    assert_same_batched_steps(ours, [model.rnn_cell for model in theirs])


@pytest.mark.parametrize("ode_unfolds", [1, 3, 12])
def test_ltc_with_other_unfolds_and_trained_maps(ode_unfolds: int) -> None:
    wirings = [auto_ncp(INPUTS, UNITS, OUTPUTS, seed=seed) for seed in WIRING_SEEDS]
    ours = LTCCell(wirings, ref.generators(2), ode_unfolds=ode_unfolds)
    theirs = [
        ncps.torch.LTC(INPUTS, ncps.wirings.AutoNCP(UNITS, OUTPUTS, seed=seed), ode_unfolds=ode_unfolds)
        for seed in WIRING_SEEDS
    ]
    for model in theirs:
        # The affine maps start as the identity, which would hide an error in them.
        for name in ("input_w", "input_b", "output_w", "output_b"):
            torch.nn.init.uniform_(model.rnn_cell._params[name], 0.5, 1.5)
    ref.load_ltc(ours, [model.rnn_cell for model in theirs])
    assert_same_sequence(ours, theirs)


def test_gru_equals_torch_where_everything_is_connected() -> None:
    ours = GRUCell(INPUTS, UNITS, ref.generators(2))
    theirs = [torch.nn.GRUCell(INPUTS, UNITS) for _ in range(2)]
    with torch.no_grad():
        for k, cell in enumerate(theirs):
            assert ours.heads.bias is not None
            load_gru(ours.heads.weight[k], ours.heads.bias[k], cell)
    h = ref.noise(2, BATCH, UNITS)
    for t in range(STEPS):
        x = ref.noise(2, BATCH, INPUTS, seed=t)
        expected = torch.stack([cell(x[k], h[k]) for k, cell in enumerate(theirs)])
        h = ours(x, h, ref.irregular(2, BATCH))
        torch.testing.assert_close(h, expected, **CLOSE)


def load_gru(weight: Tensor, bias: Tensor, cell: torch.nn.GRUCell) -> None:
    gates = slice(0, 2 * UNITS)
    new = slice(2 * UNITS, 3 * UNITS)
    weight[gates] = torch.cat([cell.weight_ih[gates], cell.weight_hh[gates]], 1)
    weight[new, :INPUTS] = cell.weight_ih[new]
    weight[3 * UNITS :, INPUTS:] = cell.weight_hh[new]
    bias[gates] = cell.bias_ih[gates] + cell.bias_hh[gates]
    bias[new], bias[3 * UNITS :] = cell.bias_ih[new], cell.bias_hh[new]
