"""What all cells share, what each kind does, and what they refuse."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import jacobian

from velora import kernels
from velora.core.errors import SettingError, ShapeError
from velora.nn.cells import (
    CELL_KINDS,
    CELLS,
    BackboneSettings,
    CfCCell,
    GRUCell,
    LayeredCell,
    LSTMCell,
    LTCCell,
    MixedMemoryCell,
    make_cell,
)
from velora.nn.sequence import unroll, unroll_by_steps
from velora.nn.wiring import NCPWiring, auto_ncp

from . import reference as ref

INPUTS, UNITS, OUTPUTS = 3, 9, 2
TIMED = [name for name, row in CELLS.items() if row.takes_time]
LAYERED = [name for row in CELLS.values() if not row.is_circuit for name in row.variants if "mixed" not in name]


@pytest.mark.parametrize("variant", ref.VARIANTS)
def test_the_interface(variant: str) -> None:
    cell = ref.build(variant, seeds=(0, 1, 2))
    h = cell.initial_state(5)
    assert h.shape == (3, 5, cell.state_size)
    assert (h == 0).all()
    after = cell(ref.noise(3, 5, cell.input_size), h, ref.irregular(3, 5))
    assert after.shape == h.shape
    assert cell.readout(after).shape == (3, 5, cell.output_size)
    assert cell.readout(after.unsqueeze(2)).shape == (3, 5, 1, cell.output_size)
    assert cell.state_size == (16 if "mixed" in variant or variant == "lstm" else 8)
    assert all(value.shape[0] == 3 for value in cell.state_dict().values())


@pytest.mark.parametrize("variant", ref.VARIANTS)
def test_a_cell_that_says_so_is_bounded(variant: str) -> None:
    cell = ref.build(variant)
    assert cell.is_bounded == (variant not in ("ltc", "ltc mixed", "cfc pure", "cfc no_gate"))
    if cell.is_bounded:
        h = cell.initial_state(20)
        for t in range(10):
            h = cell(100.0 * ref.noise(1, 20, cell.input_size, seed=t), h, ref.irregular(1, 20))
        assert cell.readout(h).abs().max() <= 1.0


@pytest.mark.parametrize("variant", ref.VARIANTS)
def test_a_copy_is_independent(variant: str) -> None:
    cell = ref.build(variant)
    twin = copy.deepcopy(cell)
    x, h, dt = ref.noise(1, 2, cell.input_size), cell.initial_state(2), ref.irregular(1, 2)
    before = twin(x, h, dt)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.add_(0.3)
    assert twin(x, h, dt).equal(before)
    twin.load_state_dict(cell.state_dict())
    assert twin(x, h, dt).equal(cell(x, h, dt))


@pytest.mark.parametrize("variant", ref.VARIANTS)
def test_a_checkpoint_brings_its_wiring(variant: str) -> None:
    cell, other = ref.build(variant, seeds=(1,)), ref.build(variant, seeds=(2,))
    other.load_state_dict(cell.state_dict())
    x, h, dt = ref.noise(1, 4, cell.input_size), cell.initial_state(4), ref.irregular(1, 4)
    assert other(x, h, dt).equal(cell(x, h, dt))


@pytest.mark.parametrize("variant", ref.VARIANTS)
def test_only_what_reads_time_depends_on_it(variant: str) -> None:
    cell = ref.build(variant)
    x, h = ref.noise(1, 4, cell.input_size), torch.tanh(ref.noise(1, 4, cell.state_size))
    slow, fast = cell(x, h, torch.full((1, 4), 2.0)), cell(x, h, torch.full((1, 4), 0.1))
    assert slow.equal(fast) == (variant in CELLS and not CELLS[variant].takes_time)


def test_a_memoryless_cell_never_reads_its_state() -> None:
    cell = ref.build("memoryless")
    x, dt = ref.noise(1, 4, cell.input_size), torch.ones(1, 4)
    forgotten = torch.full((1, 4, cell.state_size), float("nan"))
    assert cell(x, forgotten, dt).equal(cell(x, cell.initial_state(4), dt))


def test_a_default_cfc_step_by_hand() -> None:
    cell = CfCCell(1, 1, ref.generators(1))
    with torch.no_grad():
        # Heads in the order ff1, ff2, time_a, time_b; columns are (input, state).
        cell.heads.weight.copy_(torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]]]))
        assert cell.heads.bias is not None
        cell.heads.bias.copy_(torch.tensor([[0.0, 0.0, 2.0, -1.0]]))
    after = cell(torch.tensor([[[0.5]]]), torch.tensor([[[-0.3]]]), torch.tensor([[0.5]]))
    # gate = sigmoid(2 * 0.5 - 1) = 1/2: the mean of tanh(0.5) = 0.46211716 and tanh(-0.3) = -0.29131261
    torch.testing.assert_close(after.item(), 0.08540227, rtol=1e-6, atol=1e-7)


def reach(wiring: NCPWiring) -> Tensor:
    """Mark which neuron of a layered state (inter, command, motor) an input can reach within one step."""
    inter, command, motor = (torch.from_numpy(mask).double() for mask in wiring.layer_masks())
    return torch.cat([inter, command @ inter, motor @ command @ inter]) > 0


@pytest.mark.parametrize("variant", LAYERED)
def test_inputs_reach_exactly_the_wired_neurons(variant: str) -> None:
    wiring = auto_ncp(INPUTS, UNITS, OUTPUTS, sparsity=0.8, seed=3)
    assert not reach(wiring).all()
    kind, _, mode = variant.partition(" ")
    cell = make_cell(kind, [wiring], ref.generators(1), mode=mode or "default").double()
    x, h, dt = ref.noise(1, 1, INPUTS).double(), ref.noise(1, 1, cell.state_size).double(), torch.ones(1, 1).double()
    change = jacobian(lambda x: cell(x, h, dt), x)[0, 0, :, 0, 0]
    expected = reach(wiring)
    if variant == "lstm":  # the memories of a layer before its neurons
        expected = torch.cat([part.repeat(2, 1) for part in expected.split([len(m) for m in wiring.layer_masks()])])
    assert ((change != 0) == expected).all()


@pytest.mark.parametrize("variant", [variant for variant in LAYERED if variant not in ("lstm", "memoryless")])
def test_states_reach_their_own_layer_and_the_wired_ones(variant: str) -> None:
    wiring = auto_ncp(INPUTS, UNITS, OUTPUTS, sparsity=0.8, seed=3)
    inter, command, motor = (torch.from_numpy(mask).double() for mask in wiring.layer_masks())
    # A layer is dense inside; its new state is what the next layer reads.
    first = torch.cat([torch.ones(len(inter), len(inter)), torch.zeros(len(inter), UNITS - len(inter))], 1).double()
    second = command @ first
    second[:, len(inter) : len(inter) + len(command)] = 1
    third = motor @ second
    third[:, -len(motor) :] = 1
    kind, _, mode = variant.partition(" ")
    cell = make_cell(kind, [wiring], ref.generators(1), mode=mode or "default").double()
    x, h, dt = ref.noise(1, 1, INPUTS).double(), ref.noise(1, 1, UNITS).double(), torch.ones(1, 1).double()
    change = jacobian(lambda h: cell(x, h, dt), h)
    assert ((change[0, 0, :, 0, 0] != 0) == (torch.cat([first, second, third]) > 0)).all()


@pytest.mark.parametrize("kernel", ["steps", "numpy", "torch", *(["native"] if kernels.extension else [])])
@torch.no_grad()
def test_an_lstm_is_that_of_pytorch(kernel: str) -> None:
    lstm = nn.LSTM(3, 4, batch_first=True)
    cell = LSTMCell(3, 4, ref.generators(1))
    theirs = dict(lstm.named_parameters())
    accept, keep, candidate, reveal = torch.cat([theirs["weight_ih_l0"], theirs["weight_hh_l0"]], 1).chunk(4)
    cell.heads.weight[0] = torch.cat([candidate, accept, keep, reveal])
    accept, keep, candidate, reveal = (theirs["bias_ih_l0"] + theirs["bias_hh_l0"]).chunk(4)
    cell.heads.bias[0] = torch.cat([candidate, accept, keep, reveal])  # type: ignore[index]
    x, h, c = ref.noise(5, 6, 3), torch.tanh(ref.noise(1, 5, 4)), ref.noise(1, 5, 4, seed=8)
    expected, (hidden, memory) = lstm(x, (h, c))
    start, dt = torch.cat([c, h], 2), ref.irregular(1, 5, 6)
    if kernel == "steps":
        states, last = unroll_by_steps(cell, x[None], start, dt)
    else:
        with kernels.using(kernel):
            states, last = unroll(cell, x[None], start, dt)
    torch.testing.assert_close(cell.readout(states)[0], expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(last, torch.cat([memory, hidden], 2), rtol=1e-5, atol=1e-6)


def test_an_lstm_begins_by_keeping_its_memory() -> None:
    cell = LSTMCell(3, 4, ref.generators(2))
    assert (cell.heads.bias[:, 8:12] == 1.0).all()  # type: ignore[index]


def test_states_of_an_lstm_reach_their_own_neurons_and_the_wired_ones() -> None:
    """A memory reaches its own neuron only, whose new state the next layer reads; a hidden state all of its layer."""
    wiring = auto_ncp(INPUTS, UNITS, OUTPUTS, sparsity=0.8, seed=3)
    inter, command, _ = (torch.from_numpy(mask) for mask in wiring.layer_masks())
    cell = make_cell("lstm", [wiring], ref.generators(1)).double()
    x, h, dt = ref.noise(1, 1, INPUTS).double(), ref.noise(1, 1, 2 * UNITS).double(), torch.ones(1, 1).double()
    change = jacobian(lambda h: cell(x, h, dt), h)[0, 0, :, 0, 0] != 0
    n, m = len(inter), len(command)
    for rows in (change[:n], change[n : 2 * n]):  # memories of the inter layer, and its neurons
        assert rows[:, :n].equal(torch.eye(n, dtype=torch.bool))
        assert rows[:, n : 2 * n].all()
        assert not rows[:, 2 * n :].any()
    for rows in (change[2 * n : 2 * n + m], change[2 * n + m : 2 * (n + m)]):
        assert rows[:, :n].equal(command)
        assert rows[:, n : 2 * n].equal(command.any(1, keepdim=True).expand(m, n))
        assert rows[:, 2 * n : 2 * n + m].equal(torch.eye(m, dtype=torch.bool))


def test_an_ltc_has_exactly_the_synapses_of_its_wiring() -> None:
    wiring = auto_ncp(INPUTS, UNITS, OUTPUTS, sparsity=0.8, seed=3)
    cell = LTCCell([wiring], ref.generators(1), ode_unfolds=1).double()
    x, h, dt = ref.noise(1, 1, INPUTS).double(), ref.noise(1, 1, UNITS).double(), torch.ones(1, 1).double()
    from_x, from_h = jacobian(lambda x, h: cell(x, h, dt), (x, h))
    found_sensory, found = (change[0, 0, :, 0, 0].T != 0 for change in (from_x, from_h))
    assert found_sensory.equal(torch.from_numpy(wiring.sensory_adjacency != 0))
    assert found.equal(torch.from_numpy(wiring.adjacency != 0) | torch.eye(UNITS, dtype=torch.bool))


@pytest.mark.parametrize("kind", CELL_KINDS)
def test_missing_synapses_get_no_gradient(kind: str) -> None:
    cell = make_cell(
        kind, [auto_ncp(INPUTS, UNITS, OUTPUTS, sparsity=0.8, seed=k) for k in range(2)], ref.generators(2)
    )
    h = cell.initial_state(4)
    for t in range(3):
        h = cell(ref.noise(2, 4, INPUTS, seed=t), h, torch.ones(2, 4))
    h.square().sum().backward()
    for part in cell.modules():
        masks: dict[str, Tensor] = getattr(part, "masked_parameters", dict)()
        for name, mask in masks.items():
            parameter = part.get_parameter(name)
            assert parameter.grad is not None
            assert (parameter.grad[~mask] == 0).all()
            assert (parameter[~mask] == 0).all()
            assert (parameter.grad[mask] != 0).any()


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 4, 4), (2, 4, 8), (2, 4)), r"x: expected \(seeds, batch, features\) = \(2, B, 3\), got \(2, 4, 4\)"),
        (((1, 4, 3), (2, 4, 8), (2, 4)), r"x: expected"),
        (((4, 3), (2, 4, 8), (2, 4)), r"x: expected"),
        (((2, 4, 3), (2, 1, 8), (2, 4)), r"h: expected \(seeds, batch, state\) = \(2, 4, 8\), got \(2, 1, 8\)"),
        (((2, 4, 3), (2, 4, 8), (2, 4, 1)), r"dt: expected \(seeds, batch\) = \(2, 4\), got \(2, 4, 1\)"),
        (((2, 4, 3), (2, 4, 8), (4,)), r"dt: expected"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shapes: tuple[tuple[int, ...], ...], message: str) -> None:
    cell = ref.build("cfc", seeds=(0, 1))
    with pytest.raises(ShapeError, match=message):
        cell(*(torch.zeros(shape) for shape in shapes))


@pytest.mark.parametrize("kind", CELL_KINDS)
def test_wirings_must_fit_each_other_and_the_generators(kind: str) -> None:
    with pytest.raises(SettingError, match=r"one per generator .2, at least 1., got 1"):
        make_cell(kind, [auto_ncp(3, 8, 2)], ref.generators(2))
    with pytest.raises(SettingError, match="got 0"):
        make_cell(kind, [], [])
    with pytest.raises(SettingError, match="equal sizes for all seeds"):
        make_cell(kind, [auto_ncp(3, 8, 2), auto_ncp(3, 9, 2)], ref.generators(2))


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("rnn", {}, f"cell: expected one of {', '.join(CELLS)}, got 'rnn'"),
        ("cfc", {"mode": "fast"}, "cell_mode: a CfC cell is one of default, pure, no_gate, got 'fast'"),
        ("leaky", {"mode": "pure"}, "cell_mode: a leaky cell is one of default, no_reset, got 'pure'"),
        ("ltc", {"mode": "pure"}, "only cfc and leaky cells have modes, but the cell is 'ltc'"),
        ("gru", {"mixed_memory": True}, f"mixed_memory: only for {', '.join(TIMED)} cells, but the cell is 'gru'"),
    ],
)
def test_options_of_another_kind_are_refused(kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        make_cell(kind, [auto_ncp(3, 8, 2)], ref.generators(1), **options)


def test_a_backbone_on_a_wiring_is_refused() -> None:
    with pytest.raises(SettingError, match="it mixes all inputs"):
        CfCCell(3, 4, ref.generators(1), mask=torch.ones(1, 4, 3), backbone=BackboneSettings())


@pytest.mark.parametrize("settings", [{"units": 0}, {"layers": 0}, {"activation": "sine"}])
def test_backbone_settings_are_checked(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="backbone:"):
        BackboneSettings(**settings)


@pytest.mark.parametrize("kind", [name for name, row in CELLS.items() if not row.is_circuit])
def test_a_layer_mask_of_another_shape_is_refused(kind: str) -> None:
    with pytest.raises(ShapeError, match=r"mask: expected \(seeds, units, inputs\) = \(1, 4, 3\), got \(1, 3, 4\)"):
        CELLS[kind].cell(3, 4, ref.generators(1), mask=torch.ones(1, 3, 4))


def test_parts_that_do_not_fit_together_are_refused() -> None:
    one, two = ref.generators(1), ref.generators(2)
    with pytest.raises(SettingError, match="at least one cell"):
        LayeredCell([])
    with pytest.raises(SettingError, match="puts out 4 features for 1 seeds, but the next reads 5 for 1"):
        LayeredCell([CfCCell(3, 4, one), CfCCell(5, 2, one)])
    with pytest.raises(SettingError, match=r"one per seed .1., got 2"):
        MixedMemoryCell(CfCCell(3, 4, one), two)
    with pytest.raises(SettingError, match="ode_unfolds: expected at least 1, got 0"):
        LTCCell([auto_ncp(3, 8, 2)], one, ode_unfolds=0)
    with pytest.raises(SettingError, match="input_size: expected at least 1, got 0"):
        GRUCell(0, 4, one)
