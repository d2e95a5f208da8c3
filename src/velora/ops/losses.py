"""Losses that are averaged over batch and time and summed over seeds, so one backward pass trains every seed."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from velora.core.errors import ShapeError


def mean_per_seed(values: Tensor) -> Tensor:
    """Average over everything but the seed axis.

    Shapes:
        values: (S, ...).
        returns: (S,).
    """
    return values.flatten(1).mean(1)


def squared_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Average the squared difference of each seed.

    Shapes:
        prediction, target: equal, (S, ...).
        returns: (S,). Sum it for one backward pass: seeds share no parameter, so their gradients don't mix.

    Raises:
        ShapeError: if the shapes differ (broadcasting here is always a mistake).
    """
    if prediction.shape != target.shape:
        raise ShapeError(
            "squared_error: expected prediction and target of one shape, "
            f"got {tuple(prediction.shape)} and {tuple(target.shape)}"
        )
    return mean_per_seed((prediction - target).square())


def mean_gradient(values: Tensor, *, factor: float, skip: int = 0) -> Tensor:
    """Return the gradient of ``factor`` times each seed's mean, which doesn't depend on the values.

    Shapes:
        values, returns: (S, B, T).

    Args:
        skip: the first steps of each window, that don't count.
    """
    gradient = torch.zeros_like(values)
    counted = gradient[:, :, skip:]
    counted.fill_(factor / counted[0].numel())
    return gradient


class ClippedLoss(NamedTuple):
    """Loss of a policy, and its parts.

    Shapes:
        loss, kl, clipped: (S,). gradient: (S, B, T), of the sum of losses, at the log-probabilities.

    Attributes:
        kl: an estimate of the Kullback-Leibler divergence from the policy that acted, in nats.
        clipped: share of the steps whose ratio has left the clipping range.
    """

    loss: Tensor
    gradient: Tensor
    kl: Tensor
    clipped: Tensor


def clipped_loss(log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, *, clip: float) -> ClippedLoss:
    """Weigh advantages with the ratio of new to old probability, without reward for leaving [1 - clip, 1 + clip].

    NaN spreads, to the gradient too.

    Shapes:
        log_prob, old_log_prob, advantage: (S, B, T).

    Source:
        Schulman et al. 2017 (arXiv 1707.06347), equation 7, negated. The estimate of the divergence is k3 of Schulman
        2020, "Approximating KL divergence".
    """
    log_ratio = log_prob - old_log_prob
    ratio = log_ratio.exp()
    gain, bounded = ratio * advantage, ratio.clamp(1.0 - clip, 1.0 + clip) * advantage
    gradient = torch.where(gain > bounded, 0.0, gain) * (-1.0 / gain[0].numel())
    has_left = ((ratio - 1.0).abs() > clip).float()
    return ClippedLoss(
        loss=-mean_per_seed(torch.minimum(gain, bounded)),
        gradient=gradient,
        kl=mean_per_seed(ratio - 1.0 - log_ratio),
        clipped=mean_per_seed(torch.where(ratio.isnan(), ratio, has_left)),
    )
