"""Find the whole numbers of linear heads: steps of the weights, multipliers, weights rounded by data, biases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product as pairs

import numpy as np
from numpy.typing import NDArray

from velora.export.quantise.arithmetic import ONE, Integers, shift
from velora.export.quantise.description import Linear, Product
from velora.export.quantise.rounding import error, round_by_data

Doubles = NDArray[np.float64]

SHRUNK = (1.0, 0.9, 0.8, 0.7)
"""Parts of a row's largest weight that are tried as the largest whole number: a row may be better off with its largest
weight cut."""
LEAST_MULTIPLIER, MOST_MULTIPLIER = 16, 65535
MOST_SUM = 60_000
"""What the sizes of a row's whole weights may add up to: times 2^15 that is just under what 32 bits hold."""


@dataclass(frozen=True, slots=True)
class Heads:
    """Linear heads to be made of whole numbers.

    Shapes:
        weight: (rows, n_read), for what is read in units of 1 = 32768. bias: (rows,), in the same. one: (rows,), what
            one is in the whole numbers that come of them. read: (T, n_read), whole numbers along a trace.

    Attributes:
        n_inputs: the first of ``n_read``, which have a step of their own.
    """

    weight: Doubles
    bias: Doubles
    one: Doubles
    read: Integers
    n_inputs: int

    @property
    def sides(self) -> tuple[slice, ...]:
        """The inputs, and the own state if there is one."""
        n = self.weight.shape[1]
        return (slice(0, self.n_inputs), slice(self.n_inputs, n))[: 1 + (n > self.n_inputs)]


def fit(heads: Heads, weight_bits: int, before: int, after: int, *, by_data: bool = True) -> Linear:
    """Round heads to whole numbers.

    Args:
        by_data: round weights by the data, and give the bias the mean error; otherwise to the nearest.
    """
    unit = heads.one / ONE * 2.0 ** (before + after)
    least = [least_steps(heads.weight[:, side], weight_bits) for side in heads.sides]
    data = heads.read / ONE
    covariance = np.cov(data, rowvar=False, bias=True).reshape(data.shape[1], data.shape[1])
    tries = list(pairs(SHRUNK, repeat=len(least))) if by_data and weight_bits == 8 else [(1.0,) * len(least)]
    parts = np.array(tries)[:, :, None] * np.stack(least)  # (tries, sides, rows)
    m = np.clip(np.rint(parts * unit), LEAST_MULTIPLIER, MOST_MULTIPLIER).transpose(0, 2, 1).reshape(-1, len(least))
    steps = _spread(m / np.tile(unit, len(tries))[:, None], heads)
    weight = np.tile(heads.weight, (len(tries), 1))
    whole = _round(weight, steps, covariance, weight_bits, by_data=by_data)
    found = error(weight, steps, whole, covariance).reshape(len(tries), -1)
    chosen = np.argmin(found, 0) * len(unit) + np.arange(len(unit))
    best, best_m = whole[chosen], m[chosen]
    products = [Product(best[:, side], _used(best[:, side], best_m[:, k])) for k, side in enumerate(heads.sides)]
    linear = Linear(products[0], products[1] if len(products) > 1 else None, np.zeros(len(unit), np.int64))
    return replace(linear, bias=_bias(heads, linear, before, after, by_data=by_data))


def least_steps(weight: Doubles, weight_bits: int) -> Doubles:
    """Return the least steps with which no weight of a row is cut, and no sum can be too large, (rows,)."""
    largest = np.abs(weight).max(1, initial=0.0) / (2 ** (weight_bits - 1) - 1)
    least: Doubles = np.maximum(largest, np.abs(weight).sum(1) / MOST_SUM)
    return least


def _spread(per_side: Doubles, heads: Heads) -> Doubles:
    steps = np.empty((len(per_side), heads.weight.shape[1]))
    for k, side in enumerate(heads.sides):
        steps[:, side] = per_side[:, k : k + 1]
    return steps


def _round(weight: Doubles, steps: Doubles, covariance: Doubles, weight_bits: int, *, by_data: bool) -> Integers:
    largest = np.full(weight.shape, 2 ** (weight_bits - 1) - 1, np.int64)
    if by_data:
        return round_by_data(weight, steps, covariance, largest)
    return np.clip(np.rint(weight / steps), -largest, largest).astype(np.int64)


def _used(whole: Integers, multiplier: Doubles) -> Integers:
    return np.where(whole.any(1), multiplier, 0).astype(np.int64)


def _bias(heads: Heads, linear: Linear, before: int, after: int, *, by_data: bool) -> Integers:
    if not by_data:
        return np.rint(heads.bias * heads.one).astype(np.int64)
    target = (heads.read / ONE @ heads.weight.T + heads.bias) * heads.one
    parts = [heads.read[:, side] for side in heads.sides]
    away: Doubles = (target - apply(linear, parts, before, after)).mean(0)
    return np.rint(away).astype(np.int64)


def apply(linear: Linear, parts: Sequence[Integers], before: int, after: int) -> Integers:
    """Compute linear heads as the C does, (T, rows).

    Shapes:
        parts: the inputs (T, n_in), and the own state (T, n) where it is read.
    """
    total = np.zeros((len(parts[0]), len(linear.bias)), np.int64)
    for side, read in zip(linear.products, parts, strict=True):
        sums = np.rint(read.astype(np.float64) @ side.weights.T.astype(np.float64))  # exact below 2^53
        total += shift(sums, before) * side.multiplier
    return shift(total, after) + linear.bias


def fits(linear: Linear, before: int, after: int) -> bool:
    """Return whether no input can bring a sum beyond 32 bits."""
    limit = float(2**31 - 1)
    total = sum(((side.bound >> before) + 1) * side.multiplier for side in linear.products)
    total = total + (np.abs(linear.bias) << after)
    return all(float(side.bound.max()) < limit for side in linear.products) and float(np.max(total)) < limit


def largest_multiplier(linear: Linear) -> int:
    """Return the largest multiplier of all rows."""
    return int(max(side.multiplier.max(initial=0) for side in linear.products))
