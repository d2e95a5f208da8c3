"""Steps of optimizers and targets, as operations on arrays; see :class:`velora.kernels.backend.Backend`."""

from __future__ import annotations

import math

from torch import Tensor

from velora.kernels.arrays.namespace import Namespace, Values
from velora.kernels.arrays.program import do
from velora.kernels.arrays.updates import Made, by_seed, numbers, update


@update
def clip(xp: Namespace, gradient: Tensor, *, max_norm: float) -> Made:
    """Multiply by ``min(1, max_norm / (norm + 1e-6))``, seed by seed."""
    g = xp.view(gradient)
    squares, scale = xp.empty(g.shape[0]), numbers(xp.empty(g.shape[0]))
    norms = numbers(squares)
    do(xp.dot, g, g, squares)
    do(xp.sqrt, norms, norms)
    do(xp.add, norms, xp.number(1e-6), scale)
    do(xp.divide, xp.number(max_norm), scale, scale)
    do(xp.minimum, scale, xp.one, scale)
    do(xp.multiply, g, by_seed(scale), g)
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
    x, g, m, v, taken, rate = (xp.view(tensor) for tensor in (values, gradient, first, second, steps, rates))
    beta1, beta2, epsilon, decay = constants or tuple(rates.tolist()[1:])
    spare, step, least = xp.empty(*x.shape), numbers(xp.empty(len(taken))), numbers(xp.empty(len(taken)))
    counts, is_lost = numbers(xp.view(sound)), _lost(xp, sound)
    _step_sizes(xp.doubles(), numbers(taken), counts, numbers(rate[0:1]), (beta1, beta2, epsilon), step, least)
    if decay:
        kept = numbers(xp.empty(len(taken)))
        do(xp.copy, numbers(rate[0:1]), kept)
        do(xp.multiply, kept, xp.number(-decay), kept)
        do(xp.multiply, kept, counts, kept)
        do(xp.add, kept, xp.one, kept)
        do(xp.multiply, x, by_seed(kept), x)
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
    do(xp.add, spare, by_seed(least), spare)
    do(xp.divide, m, spare, spare)
    do(xp.multiply, spare, by_seed(step), spare)
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
