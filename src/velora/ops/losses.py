"""Losses that are averaged over batch and time and summed over seeds, so one backward pass trains every seed."""

from __future__ import annotations

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
