"""Distributions against PyTorch's, their gradients against autograd, advantages and the clipped loss by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch import distributions as reference

from velora.core.errors import ShapeError
from velora.ops.losses import clipped_loss
from velora.ops.policies import Categorical, Gaussian, draw_categorical, draw_gaussian, likeliest
from velora.ops.returns import generalised_advantage


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_gaussian_equals_that_of_torch() -> None:
    mean, log_std, action = normal(2, 3, 4, 5), 0.3 * normal(2, 5, seed=1), normal(2, 3, 4, 5, seed=2)
    ours = Gaussian(mean, log_std)
    theirs = reference.Independent(reference.Normal(mean, log_std.exp()[:, None, None].expand_as(mean)), 1)
    torch.testing.assert_close(ours.log_prob(action), theirs.log_prob(action))
    torch.testing.assert_close(ours.entropy(), theirs.entropy())


def test_categorical_equals_that_of_torch() -> None:
    logits, action = 3.0 * normal(2, 3, 4, 6), torch.arange(24).view(2, 3, 4, 1) % 6
    ours, theirs = Categorical(logits), reference.Categorical(logits=logits)
    torch.testing.assert_close(ours.log_prob(action.float()), theirs.log_prob(action.squeeze(3)))
    torch.testing.assert_close(ours.entropy(), theirs.entropy())


def test_gradients_equal_autograd_in_double_precision() -> None:
    d_log_prob, d_entropy = normal(2, 3, 4, seed=3), -0.7
    mean, log_std = normal(2, 3, 4, 5).requires_grad_(), normal(2, 5, seed=1).requires_grad_()
    action = normal(2, 3, 4, 5, seed=2)
    pi = Gaussian(mean, log_std)
    total = (pi.log_prob(action) * d_log_prob).sum() + d_entropy * pi.entropy().sum()
    expected = torch.autograd.grad(total, (mean, log_std))
    got = Gaussian(mean.detach(), log_std.detach()).gradient(action, d_log_prob, d_entropy)
    torch.testing.assert_close(got.out, expected[0])
    torch.testing.assert_close(got.log_std, expected[1])

    logits, chosen = normal(2, 3, 4, 6).requires_grad_(), torch.arange(24).view(2, 3, 4, 1) % 6
    categorical = Categorical(logits)
    total = (categorical.log_prob(chosen) * d_log_prob).sum() + d_entropy * categorical.entropy().sum()
    (d_logits,) = torch.autograd.grad(total, (logits,))
    made = Categorical(logits.detach()).gradient(chosen, d_log_prob, d_entropy)
    torch.testing.assert_close(made.out, d_logits)
    assert made.log_std is None


def test_the_soft_value_of_choices_by_hand_and_its_gradient_by_autograd() -> None:
    p, values = torch.tensor([0.5, 0.25, 0.25]).double(), torch.tensor([1.0, 3.0, -2.0]).double()
    value = Categorical(p.log().view(1, 1, 1, 3)).soft_value(values.view(1, 1, 1, 3), torch.tensor([[0.5]]).double())
    assert value.item() == pytest.approx(0.5 + 0.75 - 0.5 + 0.5 * 1.5 * np.log(2.0))

    logits, values, d_value = normal(2, 3, 4, 6).requires_grad_(), normal(2, 3, 4, 6, seed=1), normal(2, 3, 4, seed=2)
    temperature = torch.tensor([[0.3], [2.0]]).double()
    total = (Categorical(logits).soft_value(values, temperature) * d_value).sum()
    (expected,) = torch.autograd.grad(total, (logits,))
    made = Categorical(logits.detach()).soft_value_gradient(values, temperature, d_value)
    torch.testing.assert_close(made, expected)


def test_the_likeliest_action_is_a_number_or_nan() -> None:
    assert likeliest(torch.tensor([[0.1, 0.9, 0.2], [3.0, 1.0, 2.0]])).tolist() == [[1.0], [0.0]]
    assert likeliest(torch.tensor([[0.1, float("nan")]])).isnan().all()


def test_draws_follow_the_distribution_and_know_their_log_probability() -> None:
    rng = np.random.default_rng(0)
    mean, log_std = np.tile([[0.5, -1.0]], (40_000, 1)), np.log([[0.5, 2.0]])
    action, log_prob = draw_gaussian(mean, log_std, rng.standard_normal(mean.shape))
    np.testing.assert_allclose(action.mean(0), [0.5, -1.0], atol=0.03)
    np.testing.assert_allclose(action.std(0), [0.5, 2.0], rtol=0.03)
    pi = Gaussian(torch.from_numpy(mean)[None, None], torch.from_numpy(log_std))
    np.testing.assert_allclose(log_prob[:, 0], pi.log_prob(torch.from_numpy(action)[None, None])[0, 0], rtol=1e-9)

    logits = np.tile(np.log([[0.1, 0.6, 0.3]]) + 700.0, (40_000, 1))
    index, log_prob = draw_categorical(logits, rng.random((40_000, 1)))
    np.testing.assert_allclose(np.bincount(index[:, 0].astype(int)) / 40_000, [0.1, 0.6, 0.3], atol=0.01)
    np.testing.assert_allclose(np.exp(log_prob[:3, 0]), np.array([0.1, 0.6, 0.3])[index[:3, 0].astype(int)], rtol=1e-9)


def test_what_a_seed_draws_does_not_depend_on_others_beside_it() -> None:
    """To the bit, and by the functions that agents act by."""
    rng = np.random.default_rng(0)
    for size in range(1, 20):
        own = rng.standard_normal((3, 9, size), dtype=np.float32)
        uniform = rng.random((9, 1), dtype=np.float32)
        together = *draw_gaussian(*own), *draw_categorical(own[0], uniform)
        rows = [slice(k, k + 1) for k in range(9)]
        alone = [
            (*draw_gaussian(*own[:, row].copy()), *draw_categorical(own[0, row].copy(), uniform[row])) for row in rows
        ]
        for name, many, one in zip(
            ("action", "density", "index", "odds"), together, zip(*alone, strict=True), strict=True
        ):
            assert np.array_equal(many, np.concatenate(one)), (size, name)


def test_the_edges_of_a_draw_are_actions_that_exist() -> None:
    logits = np.array([[0.0, 0.0, -200.0]], np.float32)
    assert draw_categorical(logits, np.array([[0.0]], np.float32))[0].item() == 0.0
    assert draw_categorical(logits, np.array([[0.5]], np.float32))[0].item() == 1.0
    last = np.nextafter(np.float32(1.0), np.float32(0.0))
    assert draw_categorical(logits, np.array([[last]]))[0].item() == 1.0
    assert draw_categorical(logits[:, :1], np.array([[last]]))[0].item() == 0.0


def test_a_diverged_policy_draws_nan() -> None:
    action, log_prob = draw_categorical(np.array([[0.0, np.nan], [0.0, 1.0]]), np.array([[0.3], [0.3]]))
    assert np.isnan([action[0, 0], log_prob[0, 0]]).all()
    assert np.isfinite([action[1, 0], log_prob[1, 0]]).all()


# --------------------------------------------------------------------------------------------------------- advantages


def test_advantages_by_hand() -> None:
    """Three steps of which the second ends the episode: gamma * lambda = 0.5, and 0.25 where two steps of time pass."""
    delta = torch.tensor([[[1.0, 2.0, 4.0, 8.0]]])
    ended = torch.tensor([[[0.0, 1.0, 0.0, 0.0]]])
    discount = torch.tensor([[[1.0, 1.0, 0.5, 1.0]]])
    got = generalised_advantage(delta, ended, discount, decay=0.5)
    assert got.tolist() == [[[1.0 + 0.5 * 2.0, 2.0, 4.0 + 0.25 * 8.0, 8.0]]]


@pytest.mark.parametrize("length", [1, 2, 50])
def test_advantages_equal_a_plain_loop(length: int) -> None:
    rng = np.random.default_rng(1)
    delta, discount = rng.normal(size=(2, 3, length)), rng.uniform(0.5, 1.0, (2, 3, length))
    ended = (rng.random((2, 3, length)) < 0.2).astype(float)
    expected = np.zeros_like(delta)
    for at in np.ndindex(2, 3, length):
        weight = 1.0
        for t in range(at[2], length):  # until the episode or the window ends
            expected[at] += weight * delta[at[0], at[1], t]
            if ended[at[0], at[1], t]:
                break
            weight *= 0.9 * discount[at[0], at[1], t]
    got = generalised_advantage(*(torch.from_numpy(a) for a in (delta, ended, discount)), decay=0.9)
    np.testing.assert_allclose(got.numpy(), expected)


def test_advantages_refuse_other_shapes() -> None:
    with pytest.raises(ShapeError, match="generalised_advantage: expected delta, ended and discount of one shape"):
        generalised_advantage(torch.zeros(1, 1, 3), torch.zeros(1, 1, 2), torch.zeros(1, 1, 3), decay=0.9)


# ------------------------------------------------------------------------------------------------------- clipped loss


def test_the_clipped_loss_by_hand() -> None:
    ratio = torch.tensor([[[1.5, 1.5, 0.5, 0.5]]])
    advantage = torch.tensor([[[2.0, -2.0, 2.0, -2.0]]])
    made = clipped_loss(ratio.log(), torch.zeros_like(ratio), advantage, clip=0.2)
    # Rewarded up to 1.2, punished at 1.5; rewarded at 0.5, spared below 0.8.
    torch.testing.assert_close(made.loss, torch.tensor([-(2.4 - 3.0 + 1.0 - 1.6) / 4]))
    torch.testing.assert_close(made.gradient, torch.tensor([[[0.0, 3.0 / 4, -1.0 / 4, 0.0]]]))
    assert made.clipped.tolist() == [1.0]


@pytest.mark.parametrize("where", [0, 1, 2], ids=["log_prob", "old_log_prob", "advantage"])
def test_the_clipped_loss_hides_no_nan(where: int) -> None:
    given = [torch.zeros(2, 1, 3) for _ in range(3)]
    given[where][0, 0, 1] = torch.nan
    made = clipped_loss(*given, clip=0.2)
    assert made.loss.isnan().tolist() == [True, False]
    assert made.gradient.isnan().tolist() == [[[False, True, False]], [[False] * 3]]
    of_ratio = [where < 2, False]
    assert made.kl.isnan().tolist() == made.clipped.isnan().tolist() == of_ratio


def test_the_clipped_loss_equals_autograd() -> None:
    new, old, advantage = (0.3 * normal(2, 5, 7, seed=k) for k in range(3))
    leaf = new.clone().requires_grad_()
    ratio = (leaf - old).exp()
    losses = -torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean((1, 2))
    (expected,) = torch.autograd.grad(losses.sum(), leaf)
    made = clipped_loss(new, old, advantage, clip=0.2)
    torch.testing.assert_close(made.loss, losses.detach())
    torch.testing.assert_close(made.gradient, expected)
    assert 0.0 < float(made.clipped.mean()) < 1.0
    torch.testing.assert_close(made.kl, ((new - old).exp() - 1 - (new - old)).mean((1, 2)))
