"""The pure functions against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from velora.core.errors import ShapeError
from velora.ops.losses import mean_per_seed, squared_error
from velora.ops.noise import correlated_noise
from velora.ops.parameters import clip_gradients, polyak
from velora.ops.returns import td_target


def test_td_target_bootstraps_unless_terminated() -> None:
    reward = torch.tensor([[1.0, 2.0]])
    y = td_target(reward, torch.tensor([[0.0, 1.0]]), torch.tensor([[10.0, 10.0]]), gamma=0.9)
    assert torch.equal(y, torch.tensor([[10.0, 2.0]]))


def test_td_target_refuses_a_hidden_broadcast() -> None:
    with pytest.raises(ShapeError, match=r"\(2, 3\), \(2, 3\) and \(2, 1\)"):
        td_target(torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(2, 1), gamma=0.9)


def test_losses_average_over_rows_and_keep_seeds_apart() -> None:
    prediction, target = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [0.0, 4.0]])
    assert torch.equal(squared_error(prediction, target), torch.tensor([2.5, 8.0]))
    assert torch.equal(mean_per_seed(torch.tensor([[[1.0, 3.0]], [[5.0, 7.0]]])), torch.tensor([2.0, 6.0]))
    with pytest.raises(ShapeError, match="squared_error"):
        squared_error(prediction, target[:, :1])


def test_polyak_moves_a_fraction_of_the_way() -> None:
    target, source = torch.tensor([0.0, 10.0]), torch.tensor([1.0, 0.0])
    polyak([target], [source], tau=0.25)
    assert torch.equal(target, torch.tensor([0.25, 7.5]))


@pytest.mark.parametrize("n_seeds", [1, 3])
def test_clipping_scales_each_seed_by_its_own_norm(n_seeds: int) -> None:
    a, b = torch.nn.Parameter(torch.zeros(n_seeds, 2)), torch.nn.Parameter(torch.zeros(n_seeds, 1, 1))
    a.grad, b.grad = torch.full((n_seeds, 2), 2.0), torch.full((n_seeds, 1, 1), 1.0)
    a.grad[-1], b.grad[-1] = 0.1, 0.0  # the last seed's norm is below the limit
    norms = clip_gradients([a, b], max_norm=1.0)
    expected = torch.tensor([*[3.0] * (n_seeds - 1), math.hypot(0.1, 0.1)])
    torch.testing.assert_close(norms, expected)
    assert torch.equal(a.grad[-1], torch.full((2,), 0.1))
    if n_seeds > 1:
        torch.testing.assert_close(a.grad[0], torch.full((2,), 2 / 3))
        torch.testing.assert_close(b.grad[0], torch.full((1, 1), 1 / 3))


def test_one_seed_is_clipped_as_torch_does() -> None:
    generator = torch.Generator().manual_seed(0)
    ours, theirs = (torch.nn.Parameter(torch.zeros(1, 4, 3)) for _ in range(2))
    ours.grad = torch.randn(1, 4, 3, generator=generator)
    theirs.grad = ours.grad.clone()
    clip_gradients([ours], max_norm=0.5)
    torch.nn.utils.clip_grad_norm_([theirs], 0.5)
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_noise_has_the_stated_deviation_and_correlation() -> None:
    generator, noise, path = np.random.default_rng(0), np.zeros(1, np.float32), []
    for _ in range(40_000):
        noise = correlated_noise(noise, generator.standard_normal(1), std=0.3, correlation=0.85)
        path.append(float(noise[0]))
    series = np.array(path[100:])
    assert series.std() == pytest.approx(0.3, rel=0.05)
    assert np.corrcoef(series[1:], series[:-1])[0, 1] == pytest.approx(0.85, abs=0.02)


def test_uncorrelated_noise_is_white() -> None:
    normal = np.array([1.0, -2.0])
    assert correlated_noise(np.array([9, 9], np.float32), normal, std=0.5, correlation=0.0).tolist() == [0.5, -1.0]
