"""What a soft actor-critic computes between its networks, against torch.distributions and autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal, TanhTransform, TransformedDistribution

from tests.shared import KERNELS
from velora.kernels import make_backend
from velora.kernels.arrays.backend import ArrayBackend
from velora.kernels.arrays.libraries import NumpyNamespace, TorchNamespace
from velora.kernels.backend import Backend
from velora.ops.squashed_gaussian import draw_actions

each_kernel = pytest.mark.parametrize("backend", [make_backend(k) for k in KERNELS], ids=KERNELS)
each_width = pytest.mark.parametrize("shape", [(2, 70, 1, 1), (2, 5, 3, 3), (1, 1, 1, 2)], ids=str)


def policy(out: Tensor) -> Distribution:
    """Make the distribution that a policy's output stands for, by PyTorch's own classes."""
    mean, raw = out.chunk(2, -1)
    log_std = -5.0 + 7.0 * (raw.tanh() + 1.0) / 2.0
    transforms = [TanhTransform(cache_size=1)]
    squashed = TransformedDistribution(Normal(mean, log_std.exp()), transforms)  # type: ignore[arg-type]
    return Independent(squashed, 1)


def drawn(out: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Distribution]:
    """Draw with given noise: actions, logarithms of densities, and the distribution."""
    distribution = policy(out)
    normal = distribution.base_dist.base_dist  # type: ignore[attr-defined]
    (tanh,) = distribution.base_dist.transforms  # type: ignore[attr-defined]
    action = tanh(normal.loc + normal.scale * noise)
    return action, distribution.log_prob(action), distribution


def numbers(*shape: int, seed: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def output(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    return numbers(*shape[:3], 2 * shape[3], seed=1, scale=1.5), numbers(*shape, seed=2)


@each_width
@each_kernel
def test_samples_and_densities_are_those_of_torch_distributions(backend: Backend, shape: tuple[int, ...]) -> None:
    out, noise = output(shape)
    made = backend.squashed(out, noise)
    action, log_prob, _ = drawn(out.double(), noise.double())
    torch.testing.assert_close(made.action.double(), action, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(made.log_prob.double(), log_prob, rtol=1e-5, atol=1e-5)
    again = draw_actions(out.flatten(0, 2).numpy(), noise.flatten(0, 2).numpy())
    np.testing.assert_allclose(again, made.action.flatten(0, 2).numpy(), rtol=1e-5, atol=1e-6)


@each_kernel
def test_a_density_by_hand(backend: Backend) -> None:
    """Mean 0, log std -1.5, no noise: the density at 0 is that of the Gaussian, 1 / (std sqrt(2 pi))."""
    made = backend.squashed(torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 1, 1))
    assert made.action.item() == pytest.approx(0.0, abs=1e-6)
    assert made.log_prob.item() == pytest.approx(1.5 - 0.9189385, abs=1e-5)


@each_kernel
def test_densities_stay_right_where_tanh_rounds_to_one(backend: Backend) -> None:
    out = torch.tensor([[[[30.0, -9.0, 1.0, -1.0]]]])
    noise = torch.tensor([[[[0.5, -2.0]]]])
    made = backend.squashed(out, noise)
    expected = drawn(out.double(), noise.double())[1]
    torch.testing.assert_close(made.log_prob.double(), expected, rtol=1e-5, atol=1e-5)
    d_out = backend.squashed_gradient(out, noise, (torch.ones(1, 1, 1, 2), torch.ones(1, 1, 1, 2)), torch.ones(1, 1, 1))
    assert d_out.isfinite().all()


@each_width
@each_kernel
def test_gradients_of_samples_and_densities_are_autograds(backend: Backend, shape: tuple[int, ...]) -> None:
    out, noise = output(shape)
    d_actions, d_log_prob = (numbers(*shape, seed=3), numbers(*shape, seed=4)), numbers(*shape[:3], seed=5)
    made = backend.squashed_gradient(out, noise, d_actions, d_log_prob)
    leaf = out.double().requires_grad_()
    action, log_prob, _ = drawn(leaf, noise.double())
    total = (action * (d_actions[0] + d_actions[1])).sum() + (log_prob * d_log_prob).sum()
    total.backward()
    torch.testing.assert_close(made.double(), leaf.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("xp", [NumpyNamespace(torch.float64), TorchNamespace(torch.float64)], ids=["numpy", "torch"])
def test_arrays_in_double_precision_are_exact(xp: NumpyNamespace | TorchNamespace) -> None:
    backend, (out, noise) = ArrayBackend(xp), (t.double() for t in output((2, 5, 3, 2)))
    leaf = out.clone().requires_grad_()
    action, log_prob, _ = drawn(leaf, noise)
    made = backend.squashed(out, noise)
    torch.testing.assert_close(made.action, action.detach(), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(made.log_prob, log_prob.detach(), rtol=1e-10, atol=1e-12)
    (3.0 * action.sum() + 0.5 * log_prob.sum()).backward()
    ones = torch.ones_like(noise)
    gradient = backend.squashed_gradient(out, noise, (ones, 2.0 * ones), 0.5 * ones[..., 0].contiguous())
    torch.testing.assert_close(gradient, leaf.grad, rtol=1e-9, atol=1e-11)


@each_kernel
def test_the_soft_minimum_and_its_gradient_are_autograds(backend: Backend) -> None:
    q_1, q_2, log_prob = (numbers(2, 4, 3, seed=k) for k in range(3))
    log_temperature = torch.tensor([[-1.0], [0.5]])
    leaves = [t.double().requires_grad_() for t in (q_1, q_2, log_prob)]
    expected = torch.minimum(leaves[0], leaves[1]) - log_temperature.double().exp()[:, :, None] * leaves[2]
    made = backend.soft_minimum((q_1, q_2), log_prob, log_temperature)
    torch.testing.assert_close(made.double(), expected.detach(), rtol=1e-6, atol=1e-6)
    (-expected[:, :, 1:].mean((1, 2))).sum().backward()
    gradient = backend.soft_minimum_gradient((q_1, q_2), log_temperature, factor=-1.0, skip=1)
    for ours, leaf in zip((*gradient.values, gradient.log_prob), leaves, strict=True):
        torch.testing.assert_close(ours.double(), leaf.grad, rtol=1e-6, atol=1e-7)
    assert (gradient.values[0][:, :, 0] == 0.0).all()


@each_kernel
def test_one_of_two_equal_values_has_all_the_gradient(backend: Backend) -> None:
    q = torch.ones(1, 2, 1)
    made = backend.soft_minimum_gradient((q, q.clone()), torch.zeros(1, 1), factor=-1.0)
    assert [value.flatten().tolist() for value in made.values] == [[-0.5, -0.5], [0.0, 0.0]]
    assert made.log_prob.flatten().tolist() == [0.5, 0.5]


@each_kernel
def test_the_temperature_follows_the_entropy(backend: Backend) -> None:
    log_temperature = torch.tensor([[0.5], [-2.0]])
    made = backend.temperature(log_temperature, torch.tensor([-1.5, 0.25]), target=-1.0)
    assert made.gradient.tolist() == [[-0.5], [1.25]]
    assert made.loss.tolist() == [-0.25, -2.5]
    torch.testing.assert_close(made.temperature, log_temperature.exp().flatten())


@each_kernel
def test_numbers_are_copied(backend: Backend) -> None:
    source, out = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.zeros(2, 2)
    backend.copy(source, out)
    assert torch.equal(out, source)


@each_kernel
def test_nan_is_not_hidden(backend: Backend) -> None:
    nan, ok = torch.full((1, 1, 1), float("nan")), torch.ones(1, 1, 1)
    for pair in ((nan, ok), (ok, nan)):
        assert backend.soft_minimum(pair, ok, torch.zeros(1, 1)).isnan().all()
        gradient = backend.soft_minimum_gradient(pair, torch.zeros(1, 1), factor=-1.0)
        assert all(d.isnan().all() for d in gradient.values)
    out = torch.full((1, 1, 1, 2), float("nan"))
    made = backend.squashed(out, torch.zeros(1, 1, 1, 1))
    assert made.action.isnan().all()
    assert made.log_prob.isnan().all()


@each_kernel
def test_an_ensemble_of_any_size_is_autograds(backend: Backend) -> None:
    for n in (1, 3, 10):
        values, log_prob, log_temperature = (
            [numbers(2, 4, 3, seed=k) for k in range(n)],
            numbers(2, 4, 3, seed=20),
            torch.zeros(2, 1),
        )
        leaves = [value.double().requires_grad_() for value in values]
        least = torch.stack(leaves).amin(0)
        torch.testing.assert_close(backend.minimum(*values).double(), least.detach())
        soft = backend.soft_minimum(values, log_prob, log_temperature)
        torch.testing.assert_close(soft.double(), (least - log_prob).detach(), rtol=1e-6, atol=1e-6)
        least[:, :, 1:].mean((1, 2)).sum().backward()
        made = backend.soft_minimum_gradient(values, log_temperature, factor=1.0, skip=1)
        for ours, leaf in zip(made.values, leaves, strict=True):
            torch.testing.assert_close(ours.double(), leaf.grad, rtol=1e-6, atol=1e-7)
        out, noise = output((2, 4, 3, 1))
        d_actions, d_log_prob = [numbers(2, 4, 3, 1, seed=k) for k in range(n)], numbers(2, 4, 3, seed=30)
        apart = backend.squashed_gradient(out, noise, d_actions, d_log_prob)
        together = backend.squashed_gradient(out, noise, [torch.stack(d_actions).sum(0)], d_log_prob)
        torch.testing.assert_close(apart, together, rtol=1e-5, atol=1e-6)


@each_kernel
def test_the_smallest_of_a_subset_is_that_of_each_seed_s_own_choice(backend: Backend) -> None:
    """Recorded, the choice is read anew at every replay."""
    values = [numbers(3, 4, 2, seed=k) for k in range(5)]
    first, second = torch.tensor([[0, 1, 2], [4, 3, 1], [2, 0, 4]]), torch.tensor([[3, 1, 0], [0, 2, 4], [1, 3, 4]])
    chosen, program = first.clone(), backend.program()
    with program.record():
        made = backend.minimum_of(values, chosen)
    for choice in (first, second):
        chosen.copy_(choice)
        program.start((0, 1, 2), 1)
        program.wait()
        for k in range(3):
            assert torch.equal(made[k], torch.stack([values[n][k] for n in choice[k].tolist()]).amin(0))
    one = torch.tensor([[2], [0], [1]])
    assert torch.equal(backend.minimum_of(values, one), torch.stack([values[2][0], values[0][1], values[1][2]]))


@each_kernel
def test_values_are_averaged(backend: Backend) -> None:
    made = backend.average([torch.full((2, 3, 1), value) for value in (1.0, 2.0, 6.0)])
    assert torch.equal(made, torch.full((2, 3, 1), 3.0))
    assert backend.average([torch.tensor([1.0, 2.0]), torch.tensor([2.0, 6.0])]).tolist() == [1.5, 4.0]
    alone = numbers(2, 3, 1, seed=1)
    assert torch.equal(backend.average([alone]), alone)
    assert backend.average([alone, torch.full_like(alone, float("nan"))]).isnan().all()
    chosen = torch.zeros(2, 1, dtype=torch.int64)
    assert backend.minimum_of([torch.full_like(alone, float("nan")), alone], chosen).isnan().all()
    assert backend.minimum_of([torch.full_like(alone, float("nan")), alone], chosen + 1).isfinite().all()
