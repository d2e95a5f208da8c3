"""Unrolling: named cases and what is refused. General properties are in tests/property."""

from __future__ import annotations

import pytest
import torch

from velora.core.errors import ShapeError
from velora.nn.sequence import unroll

from . import reference as ref


def test_a_reset_forgets_before_the_input_is_read() -> None:
    cell = ref.build("cfc")
    x, dt = ref.noise(1, 2, 3, 3), ref.irregular(1, 2, 3)
    h = ref.noise(1, 2, cell.state_size)
    resets = torch.tensor([[[False, True, False], [False, False, False]]])
    states, last = unroll(cell, x, h, dt, resets)
    fresh = cell(x[:, :1, 1], cell.initial_state(1), dt[:, :1, 1])
    torch.testing.assert_close(states[:, :1, 1], fresh)
    carried, _ = unroll(cell, x, h, dt)
    torch.testing.assert_close(states[:, 1], carried[:, 1])
    assert last.equal(states[:, :, -1])


def test_no_gradient_crosses_a_reset() -> None:
    cell = ref.build("cfc")
    h = ref.noise(1, 1, cell.state_size).requires_grad_()
    x = ref.noise(1, 1, 3, 3).requires_grad_()
    _, last = unroll(cell, x, h, torch.ones(1, 1, 3), torch.tensor([[[False, True, False]]]))
    last.sum().backward()
    assert h.grad is not None
    assert x.grad is not None
    assert (h.grad == 0).all()
    assert (x.grad[0, 0, 0] == 0).all()
    assert (x.grad[0, 0, 1:] != 0).any(1).all()


def test_recurrent_weights_learn_through_time() -> None:
    cell = ref.build("dense")
    x = ref.noise(1, 2, 2, 3)
    _, last = unroll(cell, x, cell.initial_state(2), torch.ones(1, 2, 2))
    last.sum().backward()
    recurrent = cell.heads.weight.grad[:, :, 3:]  # type: ignore[union-attr,index]
    assert (recurrent != 0).any(2).all()


def test_a_reset_forgets_even_a_broken_state() -> None:
    cell = ref.build("gru")
    h = torch.full((1, 1, cell.state_size), float("nan"))
    _, last = unroll(cell, ref.noise(1, 1, 1, 3), h, torch.ones(1, 1, 1), torch.ones(1, 1, 1, dtype=torch.bool))
    assert last.isfinite().all()


@pytest.mark.parametrize(
    ("x", "dt", "resets", "message"),
    [
        ((1, 2, 3), (1, 2, 4), None, r"x: expected \(seeds, batch, time >= 1, features\), got \(1, 2, 3\)"),
        ((1, 2, 0, 3), (1, 2, 0), None, r"x: expected .* got \(1, 2, 0, 3\)"),
        ((1, 2, 4, 5), (1, 2, 4), None, r"x: expected .* = \(1, B, 3\), got \(1, 2, 5\)"),
        ((1, 2, 4, 3), (1, 2), None, r"dt: expected \(seeds, batch, time\) = \(1, 2, 4\), got \(1, 2\)"),
        ((1, 2, 4, 3), (1, 2, 4), (1, 2), r"resets: expected bool .* got torch.bool \(1, 2\)"),
        ((1, 5, 4, 3), (1, 5, 4), None, r"h: expected \(seeds, batch, state\) = \(1, 5, 8\), got \(1, 2, 8\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    x: tuple[int, ...], dt: tuple[int, ...], resets: tuple[int, ...] | None, message: str
) -> None:
    cell = ref.build("cfc")
    mask = None if resets is None else torch.zeros(resets, dtype=torch.bool)
    with pytest.raises(ShapeError, match=message):
        unroll(cell, torch.zeros(x), cell.initial_state(2), torch.zeros(dt), mask)


def test_resets_that_are_numbers_are_refused() -> None:
    cell = ref.build("cfc")
    with pytest.raises(ShapeError, match="resets: expected bool"):
        unroll(cell, torch.zeros(1, 2, 4, 3), cell.initial_state(2), torch.ones(1, 2, 4), torch.zeros(1, 2, 4))
