"""Calls of a soft actor-critic between its networks, in arrays; see :class:`velora.kernels.backend.Backend`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from velora.kernels.arrays.namespace import Namespace, Values
from velora.kernels.arrays.program import do
from velora.kernels.arrays.updates import Made, smallest, update


@update
def squashed(xp: Namespace, noise: Tensor, out: Tensor, *, middle: float, half: float) -> Made:
    """Draw actions, with the logarithms of their densities."""
    z, shape = xp.view(noise), noise.shape
    u, spare, log_std, _ = _unsquashed(xp, out, noise, middle, half)
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
    return xp.tensor(action), xp.tensor(log_prob)


@update
def squashed_gradient(
    xp: Namespace,
    noise: Tensor,
    out: Tensor,
    d_actions: Sequence[Tensor],
    d_log_prob: Tensor,
    *,
    middle: float,
    half: float,
) -> Made:
    """Carry gradients back to what the policy put out."""
    width, d_out = noise.shape[3], xp.empty(*out.shape)
    d_mean, d_raw, d_p = d_out[..., :width], d_out[..., width:], xp.view(d_log_prob)[..., None]
    u, moved, _, raw = _unsquashed(xp, out, noise, middle, half)
    action, slope = xp.empty(*noise.shape), xp.empty(*noise.shape)
    _tanh(xp, u, action)
    total = xp.view(d_actions[0])
    for more in d_actions[1:]:
        do(xp.add, total, xp.view(more), d_mean)
        total = d_mean
    if len(d_actions) == 1:
        do(xp.copy, total, d_mean)
    _times_slope(xp, d_mean, action, slope)
    do(xp.multiply, action, xp.two, action)
    do(xp.multiply, action, d_p, action)
    do(xp.add, d_mean, action, d_mean)
    do(xp.multiply, d_mean, moved, d_raw)
    do(xp.subtract, d_raw, d_p, d_raw)
    do(xp.multiply, d_raw, xp.number(half), d_raw)
    _times_slope(xp, d_raw, raw, slope)
    return (xp.tensor(d_out),)


@update
def soft_minimum(xp: Namespace, values: Sequence[Tensor], log_prob: Tensor, log_temperature: Tensor) -> Made:
    """Add the entropy to the smallest value."""
    out, bonus, scale = xp.empty(*log_prob.shape), xp.empty(*log_prob.shape), xp.empty(*log_temperature.shape)
    do(xp.exp, xp.view(log_temperature), scale)
    do(xp.multiply, xp.view(log_prob), scale[..., None], bonus)
    smallest(xp, values, out)
    do(xp.subtract, out, bonus, out)
    return (xp.tensor(out),)


@update
def soft_minimum_gradient(
    xp: Namespace, values: Sequence[Tensor], log_temperature: Tensor, *, factor: float, skip: int
) -> Made:
    """Return what the smallest value, and the density, count: ``factor / n`` at the first of the smallest, else 0."""
    shape = values[0].shape
    *d_values, d_log_prob = made = [xp.zeros(*shape) for _ in (*values, log_temperature)]
    *ds, p = (d[:, :, skip:] for d in made)
    each = factor / (shape[1] * (shape[2] - skip))
    is_smaller, least, lost = xp.truths(*p.shape), xp.empty(*p.shape), xp.empty(*p.shape)
    do(xp.copy, xp.view(values[0])[:, :, skip:], least)
    do(xp.copy, xp.number(each), ds[0])
    for k, value in enumerate(values[1:], 1):
        do(xp.greater, least, xp.view(value)[:, :, skip:], is_smaller)
        do(xp.multiply, is_smaller, xp.number(each), ds[k])
        for d in ds[:k]:  # whoever had it loses it
            do(xp.multiply, is_smaller, d, lost)
            do(xp.subtract, d, lost, d)
        do(xp.minimum, least, xp.view(value)[:, :, skip:], least)
    do(xp.absolute, least, least)
    do(xp.multiply, least, xp.zero, least)  # 0, but NaN where a value is: it spreads to all
    for d in ds:
        do(xp.subtract, d, least, d)
    scale = xp.empty(*log_temperature.shape)
    do(xp.exp, xp.view(log_temperature), scale)
    do(xp.multiply, scale, xp.number(-each), scale)
    do(xp.copy, scale[..., None], p)
    return [xp.tensor(d) for d in d_values], xp.tensor(d_log_prob)


@update
def temperature(xp: Namespace, log_temperature: Tensor, entropy: Tensor, *, target: float) -> Made:
    """Compare an entropy with its target."""
    loss, gradient, current = (xp.empty(*log_temperature.shape) for _ in range(3))
    do(xp.subtract, xp.view(entropy)[:, None], xp.number(target), gradient)
    do(xp.multiply, xp.view(log_temperature), gradient, loss)
    do(xp.exp, xp.view(log_temperature), current)
    return xp.tensor(loss[:, 0]), xp.tensor(gradient), xp.tensor(current[:, 0])


def _unsquashed(
    xp: Namespace, out: Tensor, noise: Tensor, middle: float, half: float
) -> tuple[Values, Values, Values, Values]:
    """Return the sum of mean and noise, the noise alone, the logarithm of its deviation, and the tanh in that."""
    width = noise.shape[3]
    u, moved, log_std, raw = (xp.empty(*noise.shape) for _ in range(4))
    _tanh(xp, xp.view(out)[..., width:], raw)
    do(xp.multiply, raw, xp.number(half), log_std)
    do(xp.add, log_std, xp.number(middle), log_std)
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
