"""The stacked, masked linear layer and the parameter count."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from velora.core.errors import SettingError, ShapeError
from velora.nn.linear import Linear
from velora.nn.parameters import ParameterCount, count_parameters

from .reference import build, generators, noise


def test_every_seed_has_its_own_map() -> None:
    layer = Linear(3, 2, generators=generators(4))
    x = noise(4, 5, 3)
    y = layer(x)
    assert y.shape == (4, 5, 2)
    assert layer.bias is not None
    for k in range(4):
        torch.testing.assert_close(y[k], x[k] @ layer.weight[k].T + layer.bias[k])


def test_a_layer_computed_by_hand() -> None:
    layer = Linear(2, 1, generators=generators(1), mask=torch.tensor([[1, 0]]))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[[3.0, 100.0]]]))
        assert layer.bias is not None
        layer.bias.copy_(torch.tensor([[0.5]]))
    assert layer(torch.tensor([[[2.0, 7.0]]])).item() == 6.5


def test_without_bias() -> None:
    layer = Linear(3, 2, generators=generators(2), bias=False)
    assert set(layer.state_dict()) == {"weight"}
    torch.testing.assert_close(layer(torch.zeros(2, 4, 3)), torch.zeros(2, 4, 2))


@pytest.mark.parametrize("init", ["torch", "xavier"])
def test_a_seed_starts_the_same_alone_as_among_ten(init: Any) -> None:
    together = Linear(5, 6, generators=generators(10), init=init, n_heads=2)
    alone = Linear(5, 6, generators=generators(1, first=7), init=init, n_heads=2)
    assert together.weight[7].equal(alone.weight[0])
    assert together.bias is not None
    assert alone.bias is not None
    assert together.bias[7].equal(alone.bias[0])


def test_the_ranges_of_the_first_weights() -> None:
    plain = Linear(100, 300, generators=generators(1))
    heads = Linear(100, 300, generators=generators(1), init="xavier", n_heads=3)
    for layer, limit in ((plain, 0.1), (heads, math.sqrt(6 / 200))):
        assert 0.99 * limit < layer.weight.abs().max() <= limit
        assert layer.bias is not None
        assert 0.098 < layer.bias.abs().max() <= 0.1


def test_a_masked_weight_is_zero_stays_zero_and_is_saved_with_its_mask() -> None:
    mask = torch.tensor([[1, 0, 0], [1, 1, 0]])
    layer = Linear(3, 2, generators=generators(2), mask=mask)
    assert (layer.weight[:, mask == 0] == 0).all()
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        layer(noise(2, 4, 3)).square().sum().backward()
        optimizer.step()
    assert (layer.weight[:, mask == 0] == 0).all()
    assert (layer.weight[:, mask == 1] != 0).all()
    assert layer.state_dict()["mask"].dtype == torch.bool
    other = Linear(3, 2, generators=generators(2, first=5), mask=1 - mask)
    other.load_state_dict(layer.state_dict())
    x = noise(2, 4, 3)
    torch.testing.assert_close(other(x), layer(x))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"in_features": 0}, "expected sizes >= 1"),
        ({"n_heads": 2}, "multiple of n_heads"),
        ({"init": "ones"}, "init is 'torch' or 'xavier', got 'ones'"),
        ({"generators": []}, "one torch.Generator per seed, got none"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], message: str) -> None:
    full: dict[str, Any] = {"in_features": 2, "out_features": 3, "generators": generators(1)}
    with pytest.raises(SettingError, match=message):
        Linear(**(full | settings))


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"broadcasts to \(1, 3, 2\) .* got \(2, 3\)"):
        Linear(2, 3, generators=generators(1), mask=torch.ones(2, 3))


def test_parameters_are_counted_per_seed_and_without_missing_synapses() -> None:
    assert count_parameters(Linear(3, 2, generators=generators(4))) == ParameterCount(8, 8)
    cell = build("cfc", inputs=4, units=21, outputs=1, seeds=(22222, 1))
    # By hand, for 12 inter, 8 command and 1 motor neurons: 4 heads of (input + recurrent) weights and a bias each.
    total = 4 * (12 * (4 + 12) + 12 + 8 * (12 + 8) + 8 + 1 * (8 + 1) + 1)
    masks = [part.mask for part in cell.modules() if isinstance(part, Linear)]
    missing = sum(int((mask[1] == 0).sum()) for mask in masks if mask is not None)
    assert count_parameters(cell, 1) == ParameterCount(total - missing, total)
    assert missing > 0
