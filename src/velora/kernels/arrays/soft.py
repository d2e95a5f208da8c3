"""What a soft actor-critic computes between its networks, in arrays; see :class:`velora.kernels.backend.Backend`."""

from __future__ import annotations

import math

from torch import Tensor

from velora.kernels.arrays.namespace import Namespace, Values
from velora.kernels.arrays.program import do
from velora.kernels.backend import Sample, SoftGradient, TemperatureLoss
from velora.ops.squashed_gaussian import LOG_STD_HALF, LOG_STD_MIDDLE


def squashed(xp: Namespace, out: Tensor, noise: Tensor) -> Sample:
    """Draw actions, with the logarithms of their densities."""
    z, shape = xp.view(noise), noise.shape
    u, spare, log_std, _ = _unsquashed(xp, out, noise)
    action, p, log_prob = (xp.empty(*s) for s in (shape, shape, shape[:3]))
    _tanh(xp, u, action)
    do(xp.absolute, u, spare)
    do(xp.multiply, spare, xp.number(-2.0), p)
    do(xp.softplus, p, xp.zero, p)
    do(xp.add, p, spare, p)
    do(xp.multiply, p, xp.two, p)
    do(xp.subtract, p, log_std, p)
    do(xp.multiply, z, z, spare)
    do(xp.multiply, spare, xp.half, spare)
    do(xp.subtract, p, spare, p)
    do(xp.subtract, p, xp.number(2.0 * math.log(2.0) + 0.5 * math.log(2.0 * math.pi)), p)
    do(xp.sum_last, p, log_prob)
    return Sample(xp.tensor(action), xp.tensor(log_prob))


def squashed_gradient(
    xp: Namespace, out: Tensor, noise: Tensor, d_actions: tuple[Tensor, Tensor], d_log_prob: Tensor
) -> Tensor:
    """Carry gradients back to what the policy put out."""
    width, d_out = noise.shape[3], xp.empty(*out.shape)
    d_mean, d_raw, d_p = d_out[..., :width], d_out[..., width:], xp.view(d_log_prob)[..., None]
    u, moved, _, raw = _unsquashed(xp, out, noise)
    action, slope = xp.empty(*noise.shape), xp.empty(*noise.shape)
    _tanh(xp, u, action)
    do(xp.add, xp.view(d_actions[0]), xp.view(d_actions[1]), d_mean)
    _times_slope(xp, d_mean, action, slope)
    do(xp.multiply, action, xp.two, action)
    do(xp.multiply, action, d_p, action)
    do(xp.add, d_mean, action, d_mean)
    do(xp.multiply, d_mean, moved, d_raw)
    do(xp.subtract, d_raw, d_p, d_raw)
    do(xp.multiply, d_raw, xp.number(LOG_STD_HALF), d_raw)
    _times_slope(xp, d_raw, raw, slope)
    return xp.tensor(d_out)


def soft_minimum(xp: Namespace, first: Tensor, second: Tensor, log_prob: Tensor, log_temperature: Tensor) -> Tensor:
    """Add the entropy to the smaller value."""
    out, bonus, scale = xp.empty(*first.shape), xp.empty(*first.shape), xp.empty(*log_temperature.shape)
    do(xp.exp, xp.view(log_temperature), scale)
    do(xp.multiply, xp.view(log_prob), scale[..., None], bonus)
    do(xp.minimum, xp.view(first), xp.view(second), out)
    do(xp.subtract, out, bonus, out)
    return xp.tensor(out)


def soft_minimum_gradient(
    xp: Namespace, first: Tensor, second: Tensor, log_temperature: Tensor, *, factor: float, skip: int
) -> SoftGradient:
    """Return what the smaller value, and the density, count."""
    d_first, d_second, d_log_prob = made = [xp.zeros(*first.shape) for _ in range(3)]
    a, b, p = (d[:, :, skip:] for d in made)
    each = factor / (first.shape[1] * (first.shape[2] - skip))
    is_second, scale = xp.truths(*a.shape), xp.empty(*log_temperature.shape)
    do(xp.greater, xp.view(first)[:, :, skip:], xp.view(second)[:, :, skip:], is_second)
    do(xp.multiply, is_second, xp.number(each), b)
    do(xp.subtract, xp.number(each), b, a)
    do(xp.exp, xp.view(log_temperature), scale)
    do(xp.multiply, scale, xp.number(-each), scale)
    do(xp.copy, scale[..., None], p)
    return SoftGradient(xp.tensor(d_first), xp.tensor(d_second), xp.tensor(d_log_prob))


def temperature(xp: Namespace, log_temperature: Tensor, entropy: Tensor, *, target: float) -> TemperatureLoss:
    """Compare an entropy with its target."""
    loss, gradient, current = (xp.empty(*log_temperature.shape) for _ in range(3))
    do(xp.subtract, xp.view(entropy)[:, None], xp.number(target), gradient)
    do(xp.multiply, xp.view(log_temperature), gradient, loss)
    do(xp.exp, xp.view(log_temperature), current)
    return TemperatureLoss(xp.tensor(loss[:, 0]), xp.tensor(gradient), xp.tensor(current[:, 0]))


def _unsquashed(xp: Namespace, out: Tensor, noise: Tensor) -> tuple[Values, Values, Values, Values]:
    """Return the sum of mean and noise, the noise alone, the logarithm of its deviation, and the tanh in that."""
    width = noise.shape[3]
    u, moved, log_std, raw = (xp.empty(*noise.shape) for _ in range(4))
    _tanh(xp, xp.view(out)[..., width:], raw)
    do(xp.multiply, raw, xp.number(LOG_STD_HALF), log_std)
    do(xp.add, log_std, xp.number(LOG_STD_MIDDLE), log_std)
    do(xp.exp, log_std, moved)
    do(xp.multiply, moved, xp.view(noise), moved)
    do(xp.add, moved, xp.view(out)[..., :width], u)
    return u, moved, log_std, raw


def _tanh(xp: Namespace, a: Values, out: Values) -> None:
    """Compute tanh(a) as 2 / (1 + exp(-2 a)) - 1; see :class:`velora.kernels.arrays.libraries.NumpyNamespace`."""
    do(xp.multiply, a, xp.number(2.0 * xp.sign), out)
    xp.logistic(do, out)
    do(xp.multiply, out, xp.two, out)
    do(xp.subtract, out, xp.one, out)


def _times_slope(xp: Namespace, d: Values, squashed: Values, spare: Values) -> None:
    """Multiply by the slope of tanh, 1 - tanh**2."""
    do(xp.multiply, squashed, squashed, spare)
    do(xp.subtract, xp.one, spare, spare)
    do(xp.multiply, d, spare, d)
