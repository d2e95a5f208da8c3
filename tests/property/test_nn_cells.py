"""Whatever the cell and the sizes: batches, sequences and seeds are the same numbers arranged differently."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.func import functional_call

from velora.nn.cells import BackboneSettings, Cell, CfCCell, make_cell, registry
from velora.nn.sequence import unroll
from velora.nn.wiring import auto_ncp

VARIANTS = (*registry.VARIANTS, "backbone")
SMALL = settings(max_examples=15, deadline=None)
sizes = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5))
numbers = st.integers(0, 2**32 - 1)


def build(variant: str, seeds: Sequence[int], *, inputs: int = 2, units: int = 6, outputs: int = 2) -> Cell:
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    if variant == "backbone":
        return CfCCell(inputs, units, generators, backbone=BackboneSettings(units=5, layers=2))
    wirings = [auto_ncp(inputs, units, outputs, seed=seed) for seed in seeds]
    return make_cell(variant.split()[0], wirings, generators, **registry.VARIANTS[variant])


def draw(cell: Cell, batch: int, steps: int, number: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw inputs, a start, irregular times and resets."""
    rng = torch.Generator().manual_seed(number)
    shape = (cell.n_seeds, batch, steps)
    x = torch.randn(*shape, cell.input_size, generator=rng)
    h = torch.rand(cell.n_seeds, batch, cell.state_size, generator=rng) * 2 - 1
    dt = torch.rand(shape, generator=rng) * 3
    return x, h, dt, torch.rand(shape, generator=rng) < 0.3


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@SMALL
@given(variant=st.sampled_from(VARIANTS), size=sizes, number=numbers)
@torch.no_grad()
def test_batched_equals_one_by_one(variant: str, size: tuple[int, int, int], number: int) -> None:
    n_seeds, batch, steps = size
    cell = build(variant, range(n_seeds))
    x, h, dt, resets = draw(cell, batch, steps, number)
    states, last = unroll(cell, x, h, dt, resets)
    for b in range(batch):
        one = slice(b, b + 1)
        alone, end = unroll(cell, x[:, one], h[:, one], dt[:, one], resets[:, one])
        close(states[:, one], alone)
        close(last[:, one], end)


@SMALL
@given(variant=st.sampled_from(VARIANTS), size=sizes, number=numbers)
@torch.no_grad()
def test_unrolled_equals_stepped(variant: str, size: tuple[int, int, int], number: int) -> None:
    n_seeds, batch, steps = size
    cell = build(variant, range(n_seeds))
    x, h, dt, resets = draw(cell, batch, steps, number)
    states, last = unroll(cell, x, h, dt, resets)
    for t in range(steps):
        for s in range(n_seeds):
            for b in range(batch):
                if resets[s, b, t]:
                    h[s, b] = 0.0
        h = cell(x[:, :, t], h, dt[:, :, t])
        close(states[:, :, t], h)
    close(last, h)


@SMALL
@given(variant=st.sampled_from(VARIANTS), size=sizes, number=numbers, cut=st.integers(1, 5))
@torch.no_grad()
def test_a_reset_inside_a_window_makes_two_windows(
    variant: str, size: tuple[int, int, int], number: int, cut: int
) -> None:
    n_seeds, batch, steps = size
    cell = build(variant, range(n_seeds))
    x, h, dt, _ = draw(cell, batch, steps + 5, number)
    resets = torch.zeros(dt.shape, dtype=torch.bool)
    resets[:, :, cut] = True
    whole, last = unroll(cell, x, h, dt, resets)
    first, _ = unroll(cell, x[:, :, :cut], h, dt[:, :, :cut])
    second, end = unroll(cell, x[:, :, cut:], cell.initial_state(batch), dt[:, :, cut:])
    close(whole, torch.cat([first, second], 2))
    close(last, end)


@SMALL
@given(variant=st.sampled_from(VARIANTS), size=sizes, number=numbers)
def test_a_seed_among_several_equals_that_seed_alone(variant: str, size: tuple[int, int, int], number: int) -> None:
    n_seeds, batch, steps = size
    together = build(variant, range(n_seeds))
    x, h, dt, resets = draw(together, batch, steps, number)
    states, _ = unroll(together, x, h, dt, resets)
    together.readout(states).square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in together.named_parameters()}
    for k in range(n_seeds):
        one = slice(k, k + 1)
        alone = build(variant, [k])
        for name, value in alone.state_dict().items():
            assert value.equal(together.state_dict()[name][one])
        own, _ = unroll(alone, x[one], h[one], dt[one], resets[one])
        close(states[one], own)
        alone.readout(own).square().sum().backward()
        for name, parameter in alone.named_parameters():
            whole = gradients[name]
            if parameter.grad is None:
                assert whole is None
            else:
                assert whole is not None
                torch.testing.assert_close(whole[one], parameter.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.some(5)
def test_gradients_are_those_of_the_function(variant: str) -> None:
    cell = build(variant, (0, 1), inputs=1, units=5, outputs=1).double()
    names = [name for name, _ in cell.named_parameters()]
    values = [parameter.detach().requires_grad_() for parameter in cell.parameters()]
    x, h, dt, _ = draw(cell, 2, 1, 3)
    inputs = [value.double().requires_grad_() for value in (x[:, :, 0], h, dt[:, :, 0])]

    def step(x: Tensor, h: Tensor, dt: Tensor, *parameters: Tensor) -> Tensor:
        after: Tensor = functional_call(cell, dict(zip(names, parameters, strict=True)), (x, h, dt))
        return after

    assert torch.autograd.gradcheck(step, (*inputs, *values), atol=1e-6)
