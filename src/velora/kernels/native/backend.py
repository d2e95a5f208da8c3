"""The arithmetic of an update between its networks, in the native kernel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from velora.kernels.backend import AdamState, Program, Sample, SoftGradient, SquaredError, TemperatureLoss
from velora.kernels.native import binding
from velora.ops.squashed_gaussian import LOG_STD_HALF, LOG_STD_MIDDLE


class NativeBackend:
    """Compute in the native kernel."""

    notes_rows = False

    def program(self) -> Program:
        """See :class:`Backend`."""
        return binding.Program()

    def td_target(
        self, reward: Tensor, terminated: Tensor, next_value: Tensor, dt: Tensor, *, gamma: float, scale: float
    ) -> Tensor:
        """See :class:`Backend`."""
        out = torch.empty(reward.shape)
        words = (
            *reward.shape, *(word for t in (reward, terminated, dt) for word in binding.strided_numbers(t)),
            next_value.data_ptr(), out.data_ptr(), float(gamma), float(scale),
        )  # fmt: skip
        binding.call(binding.TARGET, words, (reward, terminated, next_value, dt, out))
        return out

    def squared_error(self, prediction: Tensor, target: Tensor, *, skip: int = 0) -> SquaredError:
        """See :class:`Backend`."""
        n_seeds = prediction.shape[0]
        made = SquaredError(torch.empty(n_seeds), torch.empty_like(prediction), torch.empty(n_seeds))
        words = (
            *prediction.shape, skip, prediction.data_ptr(), target.data_ptr(), made.loss.data_ptr(),
            made.gradient.data_ptr(), made.mean.data_ptr(),
        )  # fmt: skip
        binding.call(binding.SQUARED_ERROR, words, (prediction, target, *made))
        return made

    def mean(self, values: Tensor, *, factor: float, skip: int = 0) -> Tensor:
        """See :class:`Backend`."""
        out = torch.empty(values.shape[0])
        words = (*values.shape, skip, values.data_ptr(), out.data_ptr(), float(factor))
        binding.call(binding.MEAN, words, (values, out))
        return out

    def minimum(self, a: Tensor, b: Tensor) -> Tensor:
        """See :class:`Backend`."""
        out = torch.empty(a.shape)
        words = (a.shape[0], a[0].numel(), a.data_ptr(), b.data_ptr(), out.data_ptr())
        binding.call(binding.MINIMUM, words, (a, b, out))
        return out

    def perturbed(self, action: Tensor, noise: Tensor, *, std: float, most: float) -> Tensor:
        """See :class:`Backend`."""
        out = torch.empty(action.shape)
        addresses = (action.data_ptr(), noise.data_ptr(), out.data_ptr())
        words = (action.shape[0], action[0].numel(), *addresses, float(std), float(most))
        binding.call(binding.PERTURB, words, (action, noise, out))
        return out

    def before(self, states: Tensor) -> Tensor:
        """See :class:`Backend`."""
        out = torch.empty(states.shape)
        binding.call(binding.BEFORE, (*states.shape, states.data_ptr(), out.data_ptr()), (states, out))
        return out

    def squashed(self, out: Tensor, noise: Tensor) -> Sample:
        """See :class:`Backend`."""
        made = Sample(torch.empty(noise.shape), torch.empty(noise.shape[:3]))
        addresses = [t.data_ptr() for t in (out, noise, *made)]
        words = (*_samples(noise), *addresses, LOG_STD_MIDDLE, LOG_STD_HALF)
        binding.call(binding.SQUASH, words, (out, noise, *made))
        return made

    def squashed_gradient(
        self, out: Tensor, noise: Tensor, d_actions: tuple[Tensor, Tensor], d_log_prob: Tensor
    ) -> Tensor:
        """See :class:`Backend`."""
        touched = (out, noise, *d_actions, d_log_prob, torch.empty(out.shape))
        words = (*_samples(noise), *(t.data_ptr() for t in touched), LOG_STD_MIDDLE, LOG_STD_HALF)
        binding.call(binding.SQUASH_BACKWARD, words, touched)
        return touched[-1]

    def soft_minimum(self, first: Tensor, second: Tensor, log_prob: Tensor, log_temperature: Tensor) -> Tensor:
        """See :class:`Backend`."""
        touched = (first, second, log_prob, log_temperature, torch.empty(first.shape))
        words = (first.shape[0], first[0].numel(), *(t.data_ptr() for t in touched))
        binding.call(binding.SOFT_MINIMUM, words, touched)
        return touched[-1]

    def soft_minimum_gradient(
        self, first: Tensor, second: Tensor, log_temperature: Tensor, *, factor: float, skip: int = 0
    ) -> SoftGradient:
        """See :class:`Backend`."""
        made = SoftGradient(*(torch.empty(first.shape) for _ in range(3)))
        touched = (first, second, log_temperature, *made)
        words = (*first.shape, skip, *(t.data_ptr() for t in touched), float(factor))
        binding.call(binding.SOFT_MINIMUM_BACKWARD, words, touched)
        return made

    def temperature(self, log_temperature: Tensor, entropy: Tensor, *, target: float) -> TemperatureLoss:
        """See :class:`Backend`."""
        n = entropy.shape[0]
        made = TemperatureLoss(torch.empty(n), torch.empty(n, 1), torch.empty(n))
        touched = (log_temperature, entropy, *made)
        binding.call(binding.TEMPERATURE, (n, *(t.data_ptr() for t in touched), float(target)), touched)
        return made

    def copy(self, source: Tensor, out: Tensor) -> None:
        """See :class:`Backend`."""
        binding.call(binding.COPY, (*source.shape, source.data_ptr(), out.data_ptr()), (source, out))

    def clip(self, gradient: Tensor, *, max_norm: float) -> Tensor:
        """See :class:`Backend`."""
        norms = torch.empty(gradient.shape[0])
        words = (*gradient.shape, gradient.data_ptr(), norms.data_ptr(), float(max_norm))
        binding.call(binding.CLIP, words, (gradient, norms))
        return norms

    def follow(self, target: Tensor, source: Tensor, *, tau: float, rows: Sequence[int]) -> None:
        """See :class:`Backend`."""
        for t, s in _parts((target, source), rows):
            binding.call(binding.FOLLOW, (*t.shape, t.data_ptr(), s.data_ptr(), float(tau)), (t, s))

    def adam(self, state: AdamState, *, rows: Sequence[int]) -> None:
        """See :class:`Backend`."""
        for part in _parts(state[:5], rows):
            addresses = [t.data_ptr() for t in part]
            binding.call(binding.ADAM, (*part[0].shape, *addresses, state.rates.data_ptr()), state)


def _samples(noise: Tensor) -> tuple[int, int, int]:
    """Count seeds, samples of a seed, and actions in (S, B, T, A)."""
    n_seeds, n_batch, n_time, width = noise.shape
    return n_seeds, n_batch * n_time, width


def _parts(tensors: Sequence[Tensor], rows: Sequence[int]) -> list[tuple[Tensor, ...]]:
    """Cut out the seeds that learn: all in one piece, or one by one. A program is told its seeds when it runs."""
    if len(rows) == tensors[0].shape[0] or binding.is_recording():
        return [tuple(tensors)]
    return [tuple(t[k : k + 1] for t in tensors) for k in rows]
