"""The leaky cell against a GRU of PyTorch, against its differential equation, and by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from velora import kernels
from velora.nn.cells import LeakyCell, LeakyMode
from velora.nn.cells.leaky import FIRST_TIME_CONSTANTS
from velora.nn.sequence import unroll

from . import reference as ref

INPUTS, UNITS = 3, 5
KERNELS = ["steps", "numpy", "torch", *(["native"] if kernels.extension else [])]


def cell_with(weight: Tensor, bias: Tensor, mode: LeakyMode, inputs: int) -> LeakyCell:
    cell = LeakyCell(inputs, len(bias) // (4 if mode == "default" else 2), ref.generators(1), mode=mode)
    cell.heads.weight.data[0], cell.heads.bias.data[0] = weight, bias  # type: ignore[union-attr]
    return cell


def test_a_step_without_reset_by_hand() -> None:
    # Heads in the order rate, target; columns are (input, state).
    cell = cell_with(torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([0.0, 0.0]), "no_reset", 1)
    after = cell(torch.tensor([[[0.5]]]), torch.tensor([[[-0.3]]]), torch.tensor([[2.0]]))
    # softplus(0) = ln 2, so in two steps of time three quarters of the way to tanh(0.5) = 0.46211716 are gone.
    torch.testing.assert_close(after.item(), 0.27158787, rtol=1e-6, atol=1e-7)


def test_a_step_with_reset_by_hand() -> None:
    # Heads in the order reset, rate, from the input, from the state.
    weight = torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    cell = cell_with(weight, torch.tensor([0.0, 0.0, 0.0, 0.0]), "default", 1)
    after = cell(torch.tensor([[[0.5]]]), torch.tensor([[[0.25]]]), torch.tensor([[1.0]]))
    # A reset of 1/2 lets half of 0.5 through: halfway from 0.25 to tanh(0.75) = 0.63514895.
    torch.testing.assert_close(after.item(), 0.44257448, rtol=1e-6, atol=1e-7)


@torch.no_grad()
@pytest.mark.parametrize("kernel", KERNELS)
def test_at_regular_times_it_is_the_gru_of_pytorch(kernel: str) -> None:
    gru = nn.GRU(INPUTS, UNITS, batch_first=True)
    into, across, first, second = (getattr(gru, f"{k}_l0") for k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    (r_x, z_x, n_x), (r_h, z_h, n_h) = into.chunk(3), across.chunk(3)
    (r_b, z_b, n_b), (r_c, z_c, n_c) = first.chunk(3), second.chunk(3)
    nothing = torch.zeros
    weight = torch.cat(
        [
            torch.cat([r_x, r_h], 1), -torch.cat([z_x, z_h], 1),  # a GRU's gate keeps, a rate forgets
            torch.cat([n_x, nothing(UNITS, UNITS)], 1), torch.cat([nothing(UNITS, INPUTS), n_h], 1),
        ]
    )  # fmt: skip
    cell = cell_with(weight, torch.cat([r_b + r_c, -z_b - z_c, n_b, n_c]), "default", INPUTS)
    x, h = ref.noise(4, 7, INPUTS), torch.tanh(ref.noise(1, 4, UNITS))
    expected, _ = gru(x, h)
    with kernels.using("auto" if kernel == "steps" else kernel):
        ours, _ = unroll(cell, x[None], h, torch.ones(1, 4, 7))
    if kernel == "steps":
        ours = torch.stack(stepped(cell, x[None], h, torch.ones(1, 4, 7)), 2)
    torch.testing.assert_close(ours[0], expected, rtol=1e-5, atol=1e-6)


def stepped(cell: LeakyCell, x: Tensor, h: Tensor, dt: Tensor) -> list[Tensor]:
    states = []
    for t in range(x.shape[2]):
        h = cell(x[:, :, t], h, dt[:, :, t])
        states.append(h)
    return states


@torch.no_grad()
@pytest.mark.parametrize("mode", ["default", "no_reset"])
def test_a_step_solves_the_equation(mode: LeakyMode) -> None:
    """Many small explicit steps of the equation, with rate and target held, against one of ours."""
    cell = LeakyCell(INPUTS, UNITS, ref.generators(1), mode=mode).double()
    x, h = ref.noise(1, 4, INPUTS).double(), torch.tanh(ref.noise(1, 4, UNITS)).double()
    dt = ref.irregular(1, 4).double()
    heads = cell.heads(torch.cat([x, h], 2))
    if mode == "default":
        reset, rate, from_input, from_state = heads.chunk(4, 2)
        target = torch.tanh(from_input + torch.sigmoid(reset) * from_state)
    else:
        rate, target = heads[..., :UNITS], torch.tanh(heads[..., UNITS:])
    rate, n, v = torch.log1p(torch.exp(rate)), 2_000, h.clone()
    for _ in range(n):  # the midpoint rule
        middle = v + dt[..., None] / (2 * n) * rate * (target - v)
        v = v + dt[..., None] / n * rate * (target - middle)
    torch.testing.assert_close(cell(x, h, dt), v, rtol=1e-7, atol=1e-7)


@torch.no_grad()
@pytest.mark.parametrize("kernel", KERNELS[1:])
def test_two_steps_of_time_are_one_of_their_sum(kernel: str) -> None:
    """As long as nothing changes in between: without weights from the state."""
    cell = LeakyCell(INPUTS, UNITS, ref.generators(1))
    cell.heads.weight[:, :, INPUTS:] = 0.0
    x, h = ref.noise(1, 4, 1, INPUTS).expand(1, 4, 2, INPUTS), torch.tanh(ref.noise(1, 4, UNITS))
    dt = ref.irregular(1, 4, 2)
    with kernels.using(kernel):
        _, twice = unroll(cell, x, h, dt)
        _, once = unroll(cell, x[:, :, :1], h, dt.sum(2, keepdim=True))
    torch.testing.assert_close(twice, once, rtol=1e-5, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("rate", [-200.0, -20.0, 0.0, 20.0, 200.0])
@pytest.mark.parametrize("kernel", KERNELS[1:])
def test_extreme_rates_and_times(kernel: str, rate: float) -> None:
    cell = LeakyCell(INPUTS, UNITS, ref.generators(1))
    cell.heads.bias[:, UNITS : 2 * UNITS] = rate  # type: ignore[index]
    x, h = ref.noise(1, 4, 1, INPUTS), torch.tanh(ref.noise(1, 4, UNITS))
    for time in (0.0, 1e-4, 1.0, 1e4):
        dt = torch.full((1, 4, 1), time)
        with kernels.using(kernel):
            _, after = unroll(cell, x, h, dt)
        expected = cell.double()(x[:, :, 0].double(), h.double(), dt[:, :, 0].double()).float()
        # A rate below the precision of float32 may be nothing, however long it lasts.
        torch.testing.assert_close(after, expected, rtol=1e-5, atol=1e-5 if time < 1e4 or rate > 0 else 2e-4)
        cell.float()
        if time == 0.0:
            torch.testing.assert_close(after, h, rtol=0.0, atol=1e-7)


@torch.no_grad()
@pytest.mark.parametrize("mode", ["default", "no_reset"])
def test_time_constants_start_as_stated(mode: LeakyMode) -> None:
    cell = LeakyCell(INPUTS, 400, ref.generators(2), mode=mode)
    heads = cell.heads(torch.zeros(2, 1, INPUTS + 400))[:, 0]
    at = 400 if mode == "default" else 0
    constants = 1.0 / torch.log1p(torch.exp(heads[:, at : at + 400]))
    shortest, longest = FIRST_TIME_CONSTANTS
    assert constants.min() >= 0.999 * shortest
    assert constants.max() <= 1.001 * longest
    assert constants.log().mean() == pytest.approx(math.log(shortest * longest) / 2, abs=0.05)
    assert not constants[0].equal(constants[1])
    alone = LeakyCell(INPUTS, 400, ref.generators(1, first=1), mode=mode)
    for name, value in alone.state_dict().items():
        assert value[0].equal(cell.state_dict()[name][1])
