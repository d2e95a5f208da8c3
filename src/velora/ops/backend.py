"""The arithmetic of an update between its networks, in PyTorch or in the native kernel.

Everything here works on every seed by itself. ``rows`` are the positions of the seeds that still learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from velora.ops import kernels
from velora.ops.losses import mean_per_seed, squared_error
from velora.ops.parameters import clip_gradient, follow
from velora.ops.returns import td_target


class SquaredError(NamedTuple):
    """A loss with its gradient.

    Shapes:
        loss: (S,), averaged over batch and time. gradient: as the prediction. mean: (S,), of the prediction.
    """

    loss: Tensor
    gradient: Tensor
    mean: Tensor


class AdamState(NamedTuple):
    """What Adam works on.

    Shapes:
        values, gradient, first, second: (S, P). steps: (S,), float64.
        rates: float64, (5,): lr, beta1, beta2, epsilon, weight decay.
    """

    values: Tensor
    gradient: Tensor
    first: Tensor
    second: Tensor
    steps: Tensor
    rates: Tensor


class Backend(Protocol):
    """What an update computes besides its networks."""

    def td_target(
        self, reward: Tensor, terminated: Tensor, next_value: Tensor, *, gamma: float, scale: float
    ) -> Tensor:
        """Bootstrap one step ahead from scaled rewards: all (S, B, T); see :func:`velora.ops.returns.td_target`."""
        ...

    def squared_error(self, prediction: Tensor, target: Tensor) -> SquaredError:
        """Average the squared difference of each seed; see :func:`velora.ops.losses.squared_error`."""
        ...

    def mean(self, values: Tensor, *, factor: float) -> Tensor:
        """Average each seed's values (S, ...) and multiply: (S,)."""
        ...

    def clip(self, gradient: Tensor, *, max_norm: float) -> Tensor:
        """Scale each seed's gradient (S, P) to a norm of at most ``max_norm``; return the norms before, (S,)."""
        ...

    def follow(self, target: Tensor, source: Tensor, *, tau: float, rows: Sequence[int]) -> None:
        """Move targets (S, P) a fraction of the way; see :func:`velora.ops.parameters.follow`."""
        ...

    def adam(self, state: AdamState, *, rows: Sequence[int]) -> None:
        """Make one step of Adam with decoupled weight decay.

        Source:
            Kingma & Ba 2015 (arXiv 1412.6980), algorithm 1; Loshchilov & Hutter 2019 (arXiv 1711.05101).
        """
        ...


class TorchBackend:
    """Compute in PyTorch."""

    def td_target(
        self, reward: Tensor, terminated: Tensor, next_value: Tensor, *, gamma: float, scale: float
    ) -> Tensor:
        """See :class:`Backend`."""
        return td_target(reward * scale, terminated, next_value, gamma=gamma)

    def squared_error(self, prediction: Tensor, target: Tensor) -> SquaredError:
        """See :class:`Backend`."""
        loss = squared_error(prediction, target)
        n = prediction[0].numel()
        return SquaredError(loss, (prediction - target) * (2.0 / n), mean_per_seed(prediction))

    def mean(self, values: Tensor, *, factor: float) -> Tensor:
        """See :class:`Backend`."""
        return mean_per_seed(values) * factor

    def clip(self, gradient: Tensor, *, max_norm: float) -> Tensor:
        """See :class:`Backend`."""
        return clip_gradient(gradient, max_norm=max_norm)

    def follow(self, target: Tensor, source: Tensor, *, tau: float, rows: Sequence[int]) -> None:
        """See :class:`Backend`."""
        follow(target, source, tau=tau, rows=rows)

    def adam(self, state: AdamState, *, rows: Sequence[int]) -> None:
        """See :class:`Backend`."""
        if len(rows) == state.values.shape[0] and len(set(state.steps.tolist())) == 1:
            self._adam(state)
            return
        for k in rows:  # one by one: a seed's bits don't depend on how often its neighbours have stepped
            part = [t[k : k + 1] for t in state[:5]]
            self._adam(AdamState._make([*part, state.rates]))

    def _adam(self, state: AdamState) -> None:
        """Step seeds that have all taken as many steps."""
        values, gradient, first, second, steps, rates = state
        lr, beta1, beta2, epsilon, decay = rates.tolist()
        steps += 1.0
        taken = float(steps[0])
        if decay:
            values.mul_(1.0 - lr * decay)
        first.lerp_(gradient, 1.0 - beta1)
        second.mul_(beta2).addcmul_(gradient, gradient, value=1.0 - beta2)
        rate, root = lr / (1.0 - beta1**taken), float(np.sqrt(1.0 - beta2**taken))
        values.addcdiv_(first, second.sqrt().div_(root).add_(epsilon), value=-rate)


class NativeBackend:
    """Compute in the native kernel."""

    def td_target(
        self, reward: Tensor, terminated: Tensor, next_value: Tensor, *, gamma: float, scale: float
    ) -> Tensor:
        """See :class:`Backend`."""
        out = torch.empty(reward.shape)
        words = (
            *reward.shape, *kernels.strided_numbers(reward), *kernels.strided_numbers(terminated),
            next_value.data_ptr(), out.data_ptr(), float(gamma), float(scale),
        )  # fmt: skip
        kernels.call(kernels.TARGET, words, (reward, terminated, next_value, out))
        return out

    def squared_error(self, prediction: Tensor, target: Tensor) -> SquaredError:
        """See :class:`Backend`."""
        n_seeds = prediction.shape[0]
        made = SquaredError(torch.empty(n_seeds), torch.empty_like(prediction), torch.empty(n_seeds))
        words = (
            n_seeds, prediction[0].numel(), prediction.data_ptr(), target.data_ptr(), made.loss.data_ptr(),
            made.gradient.data_ptr(), made.mean.data_ptr(),
        )  # fmt: skip
        kernels.call(kernels.SQUARED_ERROR, words, (prediction, target, *made))
        return made

    def mean(self, values: Tensor, *, factor: float) -> Tensor:
        """See :class:`Backend`."""
        out = torch.empty(values.shape[0])
        words = (values.shape[0], values[0].numel(), values.data_ptr(), out.data_ptr(), float(factor))
        kernels.call(kernels.MEAN, words, (values, out))
        return out

    def clip(self, gradient: Tensor, *, max_norm: float) -> Tensor:
        """See :class:`Backend`."""
        norms = torch.empty(gradient.shape[0])
        words = (*gradient.shape, gradient.data_ptr(), norms.data_ptr(), float(max_norm))
        kernels.call(kernels.CLIP, words, (gradient, norms))
        return norms

    def follow(self, target: Tensor, source: Tensor, *, tau: float, rows: Sequence[int]) -> None:
        """See :class:`Backend`."""
        for t, s in _parts((target, source), rows):
            kernels.call(kernels.FOLLOW, (*t.shape, t.data_ptr(), s.data_ptr(), float(tau)), (t, s))

    def adam(self, state: AdamState, *, rows: Sequence[int]) -> None:
        """See :class:`Backend`."""
        for part in _parts(state[:5], rows):
            addresses = [t.data_ptr() for t in part]
            kernels.call(kernels.ADAM, (*part[0].shape, *addresses, state.rates.data_ptr()), state)


def _parts(tensors: Sequence[Tensor], rows: Sequence[int]) -> list[tuple[Tensor, ...]]:
    """Cut out the seeds that learn: all in one piece, or one by one. A program is told its seeds when it runs."""
    if len(rows) == tensors[0].shape[0] or kernels.is_recording():
        return [tuple(tensors)]
    return [tuple(t[k : k + 1] for t in tensors) for k in rows]


def make_backend(kernel: str) -> Backend:
    """Choose by a kernel's name."""
    return NativeBackend() if kernel == "native" else TorchBackend()
