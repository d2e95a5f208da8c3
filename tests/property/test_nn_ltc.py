"""The bounds that the paper proves for liquid time-constant networks hold for the solver."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import softplus

from velora.nn.cells import LTCCell
from velora.nn.sequence import unroll
from velora.nn.wiring import auto_ncp

SMALL = settings(max_examples=15, deadline=None)
numbers = st.integers(0, 2**32 - 1)
INPUTS, UNITS, OUTPUTS = 2, 7, 2


def build(number: int, *, ode_unfolds: int = 6) -> tuple[LTCCell, torch.Generator]:
    """Make a cell whose parameters are far from their first values."""
    rng = torch.Generator().manual_seed(number)
    wiring = auto_ncp(INPUTS, UNITS, OUTPUTS, seed=number)
    cell = LTCCell([wiring], [rng], ode_unfolds=ode_unfolds).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=rng, dtype=torch.float64))
    return cell, rng


@SMALL
@given(number=numbers, scale=st.sampled_from([0.1, 1.0, 1e3, 1e6]), ode_unfolds=st.integers(1, 8))
@torch.no_grad()
def test_a_state_stays_between_the_least_and_the_greatest_potential(
    number: int, scale: float, ode_unfolds: int
) -> None:
    cell, rng = build(number, ode_unfolds=ode_unfolds)
    x = scale * torch.randn(1, 4, 6, INPUTS, generator=rng, dtype=torch.float64)
    dt = 10.0 ** (6 * torch.rand(1, 4, 6, generator=rng, dtype=torch.float64) - 3)
    states, _ = unroll(cell, x, cell.initial_state(4), dt)
    rest = cell.vleak.clamp(max=0), cell.vleak.clamp(min=0)
    sources = [(cell.erev, cell.sparsity), (cell.sensory_erev, cell.sensory_sparsity)]
    least = torch.minimum(rest[0], torch.cat([(e * m).amin(1, keepdim=True) for e, m in sources], 1).amin(1))
    most = torch.maximum(rest[1], torch.cat([(e * m).amax(1, keepdim=True) for e, m in sources], 1).amax(1))
    assert (states >= least[:, None, None] - 1e-12).all()
    assert (states <= most[:, None, None] + 1e-12).all()


@SMALL
@given(number=numbers)
@torch.no_grad()
def test_the_time_constant_lies_between_full_and_no_synaptic_conductance(number: int) -> None:
    cell, rng = build(number, ode_unfolds=1)
    x = torch.randn(1, 1, INPUTS, generator=rng, dtype=torch.float64)
    h = torch.randn(1, 1, UNITS, generator=rng, dtype=torch.float64)
    capacity = softplus(cell.cm)

    def speed(dt: float) -> tuple[Tensor, Tensor]:
        """One Euler step says c (v' - v) / dt = pull - conductance * v'."""
        after = cell(x, h, torch.full((1, 1), dt, dtype=torch.float64))
        return after, capacity * (after - h) / dt

    (short, short_speed), (long, long_speed) = speed(0.3), speed(2.0)
    conductance = (short_speed - long_speed) / (long - short)
    leak = softplus(cell.gleak)
    full = (softplus(cell.w) * cell.sparsity).sum(1) + (softplus(cell.sensory_w) * cell.sensory_sparsity).sum(1)
    tau = capacity / leak
    found = capacity / conductance[0]
    assert (found <= tau * (1 + 1e-5)).all()
    assert (found >= tau / (1 + tau * full / capacity) * (1 - 1e-5)).all()


@SMALL
@given(number=numbers)
@torch.no_grad()
def test_more_sub_steps_come_closer_to_the_solution(number: int) -> None:
    (coarse, rng), (fine, _), (exact, _) = (build(number, ode_unfolds=n) for n in (2, 16, 512))
    x = torch.randn(1, 3, INPUTS, generator=rng, dtype=torch.float64)
    h, dt = coarse.initial_state(3), torch.full((1, 3), 0.5, dtype=torch.float64)
    solution = exact(x, h, dt)
    assert (fine(x, h, dt) - solution).norm() <= (coarse(x, h, dt) - solution).norm()
