"""Calls between networks, as operations on arrays; the meaning of each is in :mod:`velora.kernels.backend`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from velora.kernels.arrays.namespace import Namespace, Values
from velora.kernels.arrays.program import do

Made: TypeAlias = Sequence[Any]
UPDATES: dict[str, Callable[..., Made]] = {}
"""The functions by the name of their call."""


def update(function: Callable[..., Made]) -> Callable[..., Made]:
    """Enter a function in the table."""
    UPDATES[function.__name__] = function
    return function


@update
def td_target(
    xp: Namespace, reward: Tensor, terminated: Tensor, dt: Tensor, next_value: Tensor, *, gamma: float, scale: float
) -> Made:
    """Compute ``scale * reward + gamma**dt * (1 - terminated) * next_value``."""
    y, scaled = xp.empty(*reward.shape), xp.empty(*reward.shape)
    # gamma**dt is gamma * exp((dt - 1) * log(gamma)), which is exactly gamma where dt is 1.
    do(xp.subtract, xp.view(dt), xp.one, scaled)
    do(xp.multiply, scaled, xp.number(math.log(gamma or 1.0)), scaled)
    do(xp.exp, scaled, scaled)
    do(xp.multiply, xp.view(terminated), xp.number(-gamma), y)
    do(xp.add, y, xp.number(gamma), y)
    do(xp.multiply, y, scaled, y)
    do(xp.multiply, y, xp.view(next_value), y)
    do(xp.multiply, xp.view(reward), xp.number(scale), scaled)
    do(xp.add, y, scaled, y)
    return (xp.tensor(y),)


@update
def squared_error(xp: Namespace, prediction: Tensor, target: Tensor, *, skip: int) -> Made:
    """Compute ``mean((q - y)**2)``, its gradient ``2 (q - y) / n``, and the mean of q."""
    n_seeds = prediction.shape[0]
    error, loss = xp.zeros(*prediction.shape), xp.empty(n_seeds)
    counted, flat = error[:, :, skip:], error.reshape(n_seeds, -1)
    n = prediction[0, :, skip:].numel()
    (mean_prediction,) = mean(xp, prediction, factor=1.0, skip=skip)
    do(xp.subtract, xp.view(prediction)[:, :, skip:], xp.view(target)[:, :, skip:], counted)
    do(xp.dot, flat, flat, loss)
    do(xp.multiply, _numbers(loss), xp.number(1.0 / n), _numbers(loss))
    do(xp.multiply, error, xp.number(2.0 / n), error)
    return xp.tensor(loss), xp.tensor(error), mean_prediction


@update
def mean(xp: Namespace, values: Tensor, *, factor: float, skip: int) -> Made:
    """Average what counts, as a product with shares."""
    values = values[:, :, skip:]
    n_seeds, n = values.shape[0], values[0].numel()
    copied, share, out = xp.empty(*values.shape), xp.zeros(n), xp.empty(n_seeds)
    xp.fill(factor / n, share)
    do(xp.copy, xp.view(values), copied)
    do(xp.dot, copied.reshape(n_seeds, n), share, out)
    return (xp.tensor(out),)


@update
def minimum(xp: Namespace, values: Sequence[Tensor]) -> Made:
    """Take the smallest, one after another."""
    out = xp.empty(*values[0].shape)
    smallest(xp, values, out)
    return (xp.tensor(out),)


def smallest(xp: Namespace, values: Sequence[Tensor], out: Values) -> None:
    """Write the smallest of several values."""
    least = xp.view(values[0])
    for value in values[1:]:
        do(xp.minimum, least, xp.view(value), out)
        least = out
    if len(values) == 1:
        do(xp.copy, least, out)


@update
def minimum_of(xp: Namespace, values: Sequence[Tensor], chosen: Tensor) -> Made:
    """Put all values in one piece of memory, look the chosen ones up in it, and take the smallest.

    Number i of value k of seed s lies there at ``k (S n) + s n + i``.
    """
    n_seeds, n = len(chosen), values[0][0].numel()
    out, together = xp.empty(*values[0].shape), xp.empty(len(values), n_seeds, n)
    for k, value in enumerate(values):
        do(xp.copy, xp.view(value).reshape(n_seeds, n), together[k])
    own, size = xp.constant(np.arange(n_seeds * n).reshape(n_seeds, n)), xp.constant(np.array(n_seeds * n))
    at, found, least = xp.constant(np.zeros((n_seeds, n), np.int64)), xp.empty(n_seeds, n), out.reshape(n_seeds, n)
    for m in range(chosen.shape[1]):
        do(xp.copy, xp.view(chosen)[:, m : m + 1], at)
        do(xp.multiply, at, size, at)
        do(xp.add, at, own, at)
        do(xp.take, together.reshape(-1), at, found if m else least)
        if m:
            do(xp.minimum, least, found, least)
    return (xp.tensor(out),)


@update
def average(xp: Namespace, values: Sequence[Tensor]) -> Made:
    """Add them up, and divide."""
    out = xp.empty(*values[0].shape)
    do(xp.copy, xp.view(values[0]), out)
    for value in values[1:]:
        do(xp.add, out, xp.view(value), out)
    do(xp.multiply, out, xp.number(1.0 / len(values)), out)
    return (xp.tensor(out),)


@update
def perturbed(xp: Namespace, action: Tensor, noise: Tensor, *, std: float, most: float) -> Made:
    """Add bounded noise, and bound the sum."""
    out = xp.empty(*action.shape)
    do(xp.multiply, xp.view(noise), xp.number(std), out)
    _bound(xp, out, most)
    do(xp.add, out, xp.view(action), out)
    _bound(xp, out, 1.0)
    return (xp.tensor(out),)


def _bound(xp: Namespace, values: Values, most: float) -> None:
    do(xp.minimum, values, xp.number(most), values)
    do(xp.maximum, values, xp.number(-most), values)


@update
def before(xp: Namespace, states: Tensor) -> Made:
    """Move every state a step on."""
    out = xp.zeros(*states.shape)
    do(xp.copy, xp.view(states)[:, :, :-1], out[:, :, 1:])
    return (xp.tensor(out),)


@update
def copy(xp: Namespace, source: Tensor, out: Tensor) -> Made:
    """Write numbers over others."""
    do(xp.copy, xp.view(source), xp.view(out))
    return ()


@update
def clip(xp: Namespace, gradient: Tensor, *, max_norm: float) -> Made:
    """Multiply by ``min(1, max_norm / (norm + 1e-6))``, seed by seed."""
    g = xp.view(gradient)
    squares, scale = xp.empty(g.shape[0]), _numbers(xp.empty(g.shape[0]))
    norms = _numbers(squares)
    do(xp.dot, g, g, squares)
    do(xp.sqrt, norms, norms)
    do(xp.add, norms, xp.number(1e-6), scale)
    do(xp.divide, xp.number(max_norm), scale, scale)
    do(xp.minimum, scale, xp.one, scale)
    do(xp.multiply, g, _by_seed(scale), g)
    return (xp.tensor(squares),)


@update
def judge(xp: Namespace, loss: Tensor, norms: Tensor, sound: Tensor) -> Made:
    """Compare the larger of loss and norm with infinity: NaN isn't smaller either."""
    worst, is_finite = xp.empty(*loss.shape), xp.truths(*loss.shape)
    do(xp.absolute, xp.view(loss), worst)
    do(xp.maximum, worst, xp.view(norms), worst)
    do(xp.greater, xp.number(math.inf), worst, is_finite)
    do(xp.multiply, xp.view(sound), is_finite, xp.view(sound))
    return ()


@update
def follow(xp: Namespace, target: Tensor, source: Tensor, sound: Tensor, *, tau: float) -> Made:
    """Compute ``target + tau * (source - target)``."""
    a, b = xp.view(target), xp.view(source)
    step, is_lost = xp.empty(*a.shape), _lost(xp, sound)
    do(xp.subtract, b, a, step)
    do(xp.multiply, step, xp.number(tau), step)
    do(xp.erase, is_lost, step)
    do(xp.add, a, step, a)
    return ()


@update
def adam(
    xp: Namespace,
    values: Tensor,
    gradient: Tensor,
    first: Tensor,
    second: Tensor,
    steps: Tensor,
    sound: Tensor,
    rates: Tensor,
    *,
    constants: tuple[float, ...] | None,
) -> Made:
    """Make a step; ``constants`` are beta1, beta2, epsilon and weight decay, looked up in ``rates`` where not given.

    Of a seed that isn't sound, 0 is added to everything.
    """
    x, g, m, v, taken = (xp.view(tensor) for tensor in (values, gradient, first, second, steps))
    rate = xp.view(rates)
    beta1, beta2, epsilon, decay = constants or tuple(rates.tolist()[1:])
    spare, step, least = xp.empty(*x.shape), _numbers(xp.empty(len(taken))), _numbers(xp.empty(len(taken)))
    counts, is_lost = _numbers(xp.view(sound)), _lost(xp, sound)
    _step_sizes(xp.doubles(), _numbers(taken), counts, _numbers(rate[0:1]), (beta1, beta2, epsilon), step, least)
    if decay:
        kept = _numbers(xp.empty(len(taken)))
        do(xp.copy, _numbers(rate[0:1]), kept)
        do(xp.multiply, kept, xp.number(-decay), kept)
        do(xp.multiply, kept, counts, kept)
        do(xp.add, kept, xp.one, kept)
        do(xp.multiply, x, _by_seed(kept), x)
    do(xp.subtract, g, m, spare)
    do(xp.multiply, spare, xp.number(1.0 - beta1), spare)
    do(xp.erase, is_lost, spare)
    do(xp.add, m, spare, m)
    do(xp.multiply, g, g, spare)
    do(xp.subtract, spare, v, spare)
    do(xp.multiply, spare, xp.number(1.0 - beta2), spare)
    do(xp.erase, is_lost, spare)
    do(xp.add, v, spare, v)
    do(xp.sqrt, v, spare)
    do(xp.add, spare, _by_seed(least), spare)
    do(xp.divide, m, spare, spare)
    do(xp.multiply, spare, _by_seed(step), spare)
    do(xp.erase, is_lost, spare)
    do(xp.subtract, x, spare, x)
    return ()


def _lost(xp: Namespace, sound: Tensor) -> Values:
    """Tell which seeds aren't sound, (S,)."""
    is_lost = xp.truths(len(sound))
    do(xp.greater, xp.half, xp.view(sound), is_lost)
    return is_lost


def _step_sizes(
    xp: Namespace,
    steps: Values,
    counts: Values,
    lr: Values,
    constants: tuple[float, float, float],
    step: Values,
    least: Values,
) -> None:
    """Count a step of each seed; write ``lr * root / (1 - beta1**t)`` and ``epsilon * root``.

    root is ``sqrt(1 - beta2**t)``; this is algorithm 1 with numerator and denominator multiplied by it. In double
    precision, since beta2**t is close to 1.
    """
    beta1, beta2, epsilon = constants
    powers = xp.empty(2, *steps.shape)
    first, root = (powers[k : k + 1].reshape(steps.shape) for k in range(2))  # arrays, also of single numbers
    betas = xp.empty(2, *[1] * steps.ndim)
    xp.fill(beta1, betas[0:1])
    xp.fill(beta2, betas[1:2])
    do(xp.add, steps, counts, steps)
    do(xp.power, betas, steps, powers)
    do(xp.subtract, xp.one, powers, powers)
    do(xp.sqrt, root, root)
    do(xp.divide, root, first, first)
    do(xp.multiply, first, lr, step)
    do(xp.multiply, root, xp.number(epsilon), least)


def _numbers(a: Values) -> Values:
    """See a single number (1,) without its axis, which NumPy is more than twice as fast with; several as they are."""
    return a.reshape(()) if len(a) == 1 else a


def _by_seed(a: Values) -> Values:
    """See such numbers, one for each seed, as a factor of (S, P)."""
    return a[:, None] if a.ndim else a
