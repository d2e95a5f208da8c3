"""Distributions of actions, with their gradients written out."""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol, final

import numpy as np
import torch
from torch import Tensor

from velora.core.types import Array

_HALF_LOG_TAU = 0.5 * math.log(2.0 * math.pi)


class PolicyGradient(NamedTuple):
    """A gradient at what a policy is made of.

    Shapes:
        out: (S, B, T, K). log_std: (S, A), or ``None`` where there is no deviation.
    """

    out: Tensor
    log_std: Tensor | None


class Distribution(Protocol):
    """How a policy's actions are spread at every step of a batch."""

    def log_prob(self, action: Tensor) -> Tensor:
        """Return the log-probability (or log-density) of actions (S, B, T, A): (S, B, T)."""
        ...

    def entropy(self) -> Tensor:
        """Return the entropy of every step in nats, (S, B, T)."""
        ...

    def gradient(self, action: Tensor, d_log_prob: Tensor, d_entropy: float) -> PolicyGradient:
        """Carry gradients of both back.

        Shapes:
            action: (S, B, T, A). d_log_prob: (S, B, T).

        Args:
            d_entropy: the same for the entropy of every step.
        """
        ...


@final
class Gaussian:
    """Independent normal distributions, whose deviations don't depend on the state.

    Shapes:
        mean: (S, B, T, A). log_std: (S, A).
    """

    def __init__(self, mean: Tensor, log_std: Tensor) -> None:
        self._mean, self._log_std = mean, log_std[:, None, None]

    def log_prob(self, action: Tensor) -> Tensor:
        """See :class:`Distribution`."""
        z = (action - self._mean) * torch.exp(-self._log_std)
        return (-0.5 * z.square() - self._log_std - _HALF_LOG_TAU).sum(3)

    def entropy(self) -> Tensor:
        """See :class:`Distribution`."""
        return (self._log_std + 0.5 + _HALF_LOG_TAU).sum(3).expand(self._mean.shape[:3])

    def gradient(self, action: Tensor, d_log_prob: Tensor, d_entropy: float) -> PolicyGradient:
        """See :class:`Distribution`."""
        inverse_std, d = torch.exp(-self._log_std), d_log_prob.unsqueeze(3)
        z = (action - self._mean) * inverse_std
        n_steps = d_log_prob[0].numel()
        return PolicyGradient(d * z * inverse_std, (d * (z.square() - 1.0)).sum((1, 2)) + d_entropy * n_steps)


@final
class Categorical:
    """One of K actions, by the softmax of K numbers.

    Shapes:
        logits: (S, B, T, K). Actions are (S, B, T, 1), whole numbers from 0 on.
    """

    def __init__(self, logits: Tensor) -> None:
        self._log_p = torch.log_softmax(logits, 3)

    def log_prob(self, action: Tensor) -> Tensor:
        """See :class:`Distribution`."""
        return self._log_p.gather(3, action.long()).squeeze(3)

    def entropy(self) -> Tensor:
        """See :class:`Distribution`."""
        return -(self._log_p.exp() * self._log_p).sum(3)

    def soft_value(self, values: Tensor, temperature: Tensor) -> Tensor:
        """Expect the value of what is chosen, and add the entropy: ``sum p * (value - temperature * log p)``.

        Shapes:
            values: (S, B, T, K), of each action. temperature: (S, 1), the weight of the entropy.
            returns: (S, B, T).

        Source:
            Christodoulou 2019 (arXiv 1910.07207), equation 10.
        """
        return (self._log_p.exp() * self._soft(values, temperature)).sum(3)

    def soft_value_gradient(self, values: Tensor, temperature: Tensor, d_value: Tensor) -> Tensor:
        """Carry a gradient of that, (S, B, T), back to the logits, the values and the temperature being given."""
        soft, p = self._soft(values, temperature), self._log_p.exp()
        return d_value.unsqueeze(3) * p * (soft - (p * soft).sum(3, keepdim=True))

    def _soft(self, values: Tensor, temperature: Tensor) -> Tensor:
        return values - temperature[..., None, None] * self._log_p

    def gradient(self, action: Tensor, d_log_prob: Tensor, d_entropy: float) -> PolicyGradient:
        """See :class:`Distribution`."""
        p, d = self._log_p.exp(), d_log_prob.unsqueeze(3)
        d_out = -d_entropy * p * (self._log_p + self.entropy().unsqueeze(3)) - d * p
        return PolicyGradient(d_out.scatter_add(3, action.long(), d), None)


def likeliest(logits: Tensor) -> Tensor:
    """Take the likeliest of K actions.

    Shapes:
        logits: (..., K).
        returns: (..., 1), whole numbers; NaN where a logit is.
    """
    best, index = logits.max(-1, keepdim=True)
    return index + 0.0 * best


@np.errstate(all="ignore")
def draw_gaussian(mean: Array, log_std: Array, normal: Array) -> tuple[Array, Array]:
    """Draw from independent normal distributions.

    Shapes:
        mean, normal: (N, A), the latter standard normal draws. log_std: (N, A) or (1, A).
        returns: actions (N, A), and their log-densities (N, 1).
    """
    action = mean + np.exp(log_std) * normal
    # A product with ones is no faster here, and adds up a row in another order where there are other rows beside it.
    log_prob = np.add.reduce(-0.5 * normal * normal - log_std - _HALF_LOG_TAU, 1, keepdims=True)
    return action, log_prob


@np.errstate(all="ignore")
def draw_categorical(logits: Array, uniform: Array) -> tuple[Array, Array]:
    """Draw one of K actions by the softmax of their logits.

    Shapes:
        logits: (N, K). uniform: (N, 1), in [0, 1).
        returns: actions (N, 1), whole numbers, and their log-probabilities (N, 1); both NaN where a logit is.
    """
    shifted = logits - logits.max(1, keepdims=True)
    odds = np.exp(shifted).cumsum(1)
    total = odds[:, -1:]
    index = np.minimum((odds <= uniform * total).sum(1), logits.shape[1] - 1)
    log_prob = shifted[np.arange(len(index)), index][:, None] - np.log(total)
    return index[:, None] + 0.0 * log_prob, log_prob
