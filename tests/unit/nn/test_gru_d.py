"""The GRU-D against the GRU of PyTorch with a decay written here, at the ends of its time, and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from velora import kernels
from velora.nn.cells import GRUDCell
from velora.nn.cells.gru_d import FIRST_TIME_CONSTANTS
from velora.nn.sequence import unroll, unroll_by_steps

from . import reference as ref

INPUTS, UNITS = 3, 5
KERNELS = ["steps", "numpy", "torch", *(["native"] if kernels.extension else [])]


def pair() -> tuple[GRUDCell, nn.GRUCell]:
    """Make a cell with rates above and below zero, and the GRU that its gates are."""
    gru, cell, nothing = nn.GRUCell(INPUTS, UNITS), GRUDCell(INPUTS, UNITS, ref.generators(1)), torch.zeros
    (r_x, z_x, n_x), (r_h, z_h, n_h) = gru.weight_ih.chunk(3), gru.weight_hh.chunk(3)
    (r_b, z_b, n_b), (r_c, z_c, n_c) = gru.bias_ih.chunk(3), gru.bias_hh.chunk(3)
    rows = (r_x, r_h), (z_x, z_h), (n_x, nothing(UNITS, UNITS)), (nothing(UNITS, INPUTS), n_h)
    with torch.no_grad():
        cell.heads.weight[0] = torch.cat([torch.cat(row, 1) for row in rows])
        cell.heads.bias[0] = torch.cat([r_b + r_c, z_b + z_c, n_b, n_c])  # type: ignore[index]
        cell.decay_weight[0] = torch.tensor([0.3, 1.0, -0.2, 0.1, -0.4])
        cell.decay_bias[0] = torch.tensor([0.0, -0.5, 0.1, 0.2, -0.1])
    return cell, gru


def run(cell: GRUDCell, x: Tensor, h: Tensor, dt: Tensor, kernel: str) -> Tensor:
    """Return the states (S, B, T, H)."""
    if kernel == "steps":
        return unroll_by_steps(cell, x, h, dt)[0]
    with kernels.using(kernel):
        return unroll(cell, x, h, dt)[0]


def test_a_step_by_hand() -> None:
    cell = GRUDCell(1, 1, ref.generators(1))
    with torch.no_grad():
        # Heads in the order reset, keep, from the input, from the state; columns are (input, state).
        cell.heads.weight.copy_(torch.tensor([[[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]]))
        cell.heads.bias.zero_()  # type: ignore[union-attr]
        cell.decay_weight.fill_(0.5 * math.log(2.0))
    after = cell(torch.tensor([[[0.5]]]), torch.tensor([[[0.5]]]), torch.tensor([[2.0]]))
    # Two steps of time halve 0.5; a reset of 1/2 lets half of 2 * 0.25 through: halfway from 0.25 to tanh(0.75).
    torch.testing.assert_close(after.item(), 0.44257448, rtol=1e-6, atol=1e-7)


@torch.no_grad()
@pytest.mark.parametrize("kernel", KERNELS)
def test_it_is_the_gru_of_pytorch_after_a_decay(kernel: str) -> None:
    cell, gru = pair()
    x, h, dt = ref.noise(1, 4, 7, INPUTS), torch.tanh(ref.noise(1, 4, UNITS)), ref.irregular(1, 4, 7)
    states, expected = run(cell, x, h, dt, kernel), h[0]
    weight, bias = cell.decay_weight[0].numpy(), cell.decay_bias[0].numpy()
    for t in range(7):
        decay = np.exp(-np.maximum(0.0, np.outer(dt[0, :, t].numpy(), weight) + bias))
        expected = gru(x[0, :, t], torch.from_numpy(decay.astype(np.float32)) * expected)
        torch.testing.assert_close(states[0, :, t], expected, rtol=1e-5, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("kernel", KERNELS)
def test_no_time_keeps_the_state_and_much_time_forgets_it(kernel: str) -> None:
    cell, gru = pair()
    cell.decay_weight.abs_()
    cell.decay_bias.zero_()
    x, h = ref.noise(1, 4, 1, INPUTS), torch.tanh(ref.noise(1, 4, UNITS))
    for time, read in ((0.0, h[0]), (1e4, torch.zeros(4, UNITS))):
        states = run(cell, x, h, torch.full((1, 4, 1), time), kernel)
        torch.testing.assert_close(states[0, :, 0], gru(x[0, :, 0], read), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_rate_below_zero_decays_nothing_and_has_no_gradient(kernel: str) -> None:
    cell, gru = pair()
    with torch.no_grad():
        cell.decay_weight.fill_(-0.1)
        cell.decay_weight[:, 0] = 0.1
        cell.decay_bias.zero_()
    x, h, dt = ref.noise(1, 4, 3, INPUTS), torch.tanh(ref.noise(1, 4, UNITS)), ref.irregular(1, 4, 3)
    states = run(cell, x, h, dt, kernel)
    states.square().sum().backward()
    for gradient in (cell.decay_weight.grad, cell.decay_bias.grad):
        assert gradient is not None
        assert gradient[0, 0] != 0
        assert (gradient[0, 1:] == 0).all()
    once = torch.cat([torch.exp(-0.1 * dt[0, :, :1]) * h[0, :, :1], h[0, :, 1:]], 1)
    torch.testing.assert_close(states[0, :, 0], gru(x[0, :, 0], once), rtol=1e-5, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("kernel", KERNELS)
def test_samples_are_the_same_alone_and_together(kernel: str) -> None:
    cell, _ = pair()
    x, h, dt = ref.noise(1, 9, 4, INPUTS), torch.tanh(ref.noise(1, 9, UNITS)), ref.irregular(1, 9, 4)
    together = run(cell, x, h, dt, kernel)
    for k in range(9):
        alone = run(cell, x[:, k : k + 1], h[:, k : k + 1], dt[:, k : k + 1], kernel)
        torch.testing.assert_close(alone[:, 0], together[:, k], rtol=1e-6, atol=1e-6)


@torch.no_grad()
def test_the_decay_starts_slow_and_none_where_no_time_passes() -> None:
    cell = GRUDCell(INPUTS, 400, ref.generators(2))
    assert (cell.decay_bias == 0).all()
    constants = 1.0 / cell.decay_weight
    shortest, longest = FIRST_TIME_CONSTANTS
    assert constants.min() >= 0.999 * shortest
    assert constants.max() <= 1.001 * longest
    assert constants.log().mean() == pytest.approx(math.log(shortest * longest) / 2, abs=0.05)
    assert not constants[0].equal(constants[1])
    alone = GRUDCell(INPUTS, 400, ref.generators(1, first=1))
    for name, value in alone.state_dict().items():
        assert value[0].equal(cell.state_dict()[name][1])
