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
    do(xp.multiply, numbers(loss), xp.number(1.0 / n), numbers(loss))
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


def numbers(a: Values) -> Values:
    """See a single number (1,) without its axis, which NumPy is more than twice as fast with; several as they are."""
    return a.reshape(()) if len(a) == 1 else a


def by_seed(a: Values) -> Values:
    """See such numbers, one for each seed, as a factor of (S, P)."""
    return a[:, None] if a.ndim else a
