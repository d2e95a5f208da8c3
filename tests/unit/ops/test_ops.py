"""The pure functions against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.shared import KERNELS
from velora.core.errors import ShapeError
from velora.kernels import make_backend
from velora.kernels.backend import AdamState, Backend
from velora.ops.losses import mean_per_seed, squared_error
from velora.ops.noise import correlated_noise, innovation_std
from velora.ops.returns import td_target


def test_td_target_bootstraps_unless_terminated() -> None:
    reward = torch.tensor([[1.0, 2.0]])
    y = td_target(reward, torch.tensor([[0.0, 1.0]]), torch.tensor([[10.0, 10.0]]), torch.ones(1, 2), gamma=0.9)
    assert torch.equal(y, torch.tensor([[10.0, 2.0]]))


def test_td_target_discounts_by_the_time_that_passed() -> None:
    dt = torch.tensor([1.0, 2.0, 0.5, 3.0])
    y = td_target(torch.zeros(4), torch.zeros(4), torch.full((4,), 8.0), dt, gamma=0.25)
    assert torch.equal(y, torch.tensor([2.0, 0.5, 4.0, 0.125]))


def test_td_target_refuses_a_hidden_broadcast() -> None:
    with pytest.raises(ShapeError, match=r"\(2, 3\), \(2, 3\), \(2, 1\) and \(2, 3\)"):
        td_target(torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(2, 1), torch.zeros(2, 3), gamma=0.9)


def test_losses_average_over_rows_and_keep_seeds_apart() -> None:
    prediction, target = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [0.0, 4.0]])
    assert torch.equal(squared_error(prediction, target), torch.tensor([2.5, 8.0]))
    assert torch.equal(mean_per_seed(torch.tensor([[[1.0, 3.0]], [[5.0, 7.0]]])), torch.tensor([2.0, 6.0]))
    with pytest.raises(ShapeError, match="squared_error"):
        squared_error(prediction, target[:, :1])


each_kernel = pytest.mark.parametrize("backend", [make_backend(k) for k in KERNELS], ids=KERNELS)


@each_kernel
def test_polyak_moves_a_fraction_of_the_way(backend: Backend) -> None:
    target, source = torch.tensor([[0.0, 10.0], [1.0, 1.0]]), torch.tensor([[1.0, 0.0], [2.0, 2.0]])
    backend.follow(target, source, torch.ones(2), tau=0.25, rows=[0])
    assert torch.equal(target, torch.tensor([[0.25, 7.5], [1.0, 1.0]]))


@each_kernel
def test_clipping_scales_each_seed_by_its_own_norm(backend: Backend) -> None:
    g = torch.tensor([[2.0, 2.0, 1.0], [0.1, 0.1, 0.0]])
    norms = backend.clip(g, max_norm=1.0)
    torch.testing.assert_close(norms, torch.tensor([3.0, math.hypot(0.1, 0.1)]))
    torch.testing.assert_close(g, torch.tensor([[2 / 3, 2 / 3, 1 / 3], [0.1, 0.1, 0.0]]))


@each_kernel
def test_one_seed_is_clipped_as_torch_does(backend: Backend) -> None:
    generator = torch.Generator().manual_seed(0)
    ours, theirs = torch.randn(1, 1000, generator=generator), torch.nn.Parameter(torch.zeros(1, 1000))
    theirs.grad = ours.clone()
    backend.clip(ours, max_norm=0.5)
    torch.nn.utils.clip_grad_norm_([theirs], 0.5)
    torch.testing.assert_close(ours, theirs.grad)


@pytest.mark.parametrize("decay", [0.0, 0.01])
@each_kernel
def test_adam_is_torchs(backend: Backend, decay: float) -> None:
    """Also where seeds have made different numbers of steps."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(3, 21, generator=generator)
    rows = [torch.nn.Parameter(row.clone()) for row in values]
    reference = [torch.optim.AdamW([row], lr=0.01, weight_decay=decay) for row in rows]
    rates = torch.tensor([0.01, 0.9, 0.999, 1e-8, decay], dtype=torch.float64)
    state = AdamState(
        values, torch.zeros(3, 21), torch.zeros(3, 21), torch.zeros(3, 21), torch.zeros(3, dtype=torch.float64),
        torch.ones(3), rates,
    )  # fmt: skip
    for learning in ([0, 1, 2], [0, 2], [1], [0, 1, 2], [0, 1, 2]):
        state.gradient.copy_(torch.randn(3, 21, generator=generator))
        for k in learning:
            rows[k].grad = state.gradient[k].clone()
            reference[k].step()
        backend.adam(state, rows=learning)
    torch.testing.assert_close(values, torch.stack([row.detach() for row in rows]), rtol=1e-5, atol=1e-6)


@each_kernel
def test_targets_and_losses_are_those_of_the_pure_functions(backend: Backend) -> None:
    """From columns of packed rows, as a batch has them."""
    g = torch.Generator().manual_seed(0)
    rows = torch.randn(2, 5, 3, 4, generator=g)
    reward, ended, value = rows[..., 0], (rows[..., 1] > 0).float(), torch.randn(2, 5, 3, generator=g)
    dt = rows[..., 2].abs_()
    for gamma in (0.9, 1.0, 0.0):
        y = backend.td_target(reward, ended, value, dt, gamma=gamma, scale=0.1)
        torch.testing.assert_close(y, td_target(0.1 * reward, ended, value, dt, gamma=gamma))
    made = backend.squared_error(y, value)
    torch.testing.assert_close(made.loss, squared_error(y, value))
    torch.testing.assert_close(made.mean, mean_per_seed(y))
    torch.testing.assert_close(backend.mean(value, factor=-1.0), -mean_per_seed(value))


@each_kernel
def test_a_regular_step_is_discounted_by_gamma_to_the_bit(backend: Backend) -> None:
    value = torch.randn(1, 100, 3)
    zeros, ones = torch.zeros_like(value), torch.ones_like(value)
    for gamma in (0.99, 0.123456, 1.0, 0.0):
        y = backend.td_target(zeros, zeros, value, ones, gamma=gamma, scale=1.0)
        assert torch.equal(y, float(np.float32(gamma)) * value)


@each_kernel
def test_nan_goes_on_and_spreads(backend: Backend) -> None:
    g = torch.tensor([[1.0, float("nan")], [3.0, 4.0]])
    norms = backend.clip(g, max_norm=1.0)
    assert norms[0].isnan()
    assert g[0].isnan().any()
    torch.testing.assert_close(g[1], torch.tensor([0.6, 0.8]))


@each_kernel
def test_the_gradient_of_the_squared_error_is_autograds(backend: Backend) -> None:
    prediction = torch.randn(2, 5, 3, requires_grad=True)
    target = torch.randn(2, 5, 3)
    made = backend.squared_error(prediction.detach(), target)
    loss = squared_error(prediction, target)
    loss.sum().backward()
    torch.testing.assert_close(made.loss, loss.detach())
    torch.testing.assert_close(made.gradient, prediction.grad)


def test_noise_has_the_stated_deviation_and_correlation() -> None:
    generator, noise, path = np.random.default_rng(0), np.zeros(1, np.float32), []
    correlation, std = np.full(1, 0.85, np.float32), innovation_std(0.3, 0.85)
    for _ in range(40_000):
        noise = correlated_noise(
            noise, (std * generator.standard_normal(1)).astype(np.float32), correlation=correlation
        )
        path.append(float(noise[0]))
    series = np.array(path[100:])
    assert series.std() == pytest.approx(0.3, rel=0.05)
    assert np.corrcoef(series[1:], series[:-1])[0, 1] == pytest.approx(0.85, abs=0.02)


def test_uncorrelated_noise_is_white() -> None:
    noise, normal = np.array([9, 9], np.float32), np.array([1.0, -2.0], np.float32)
    innovation = np.float32(innovation_std(0.5, 0.0)) * normal
    assert correlated_noise(noise, innovation, correlation=np.zeros(2, np.float32)).tolist() == [0.5, -1.0]
