"""Round weights to whole numbers so that the sums that come of them on calibration data are the closest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from velora.export.quantise.arithmetic import Integers

Doubles = NDArray[np.float64]

SWEEPS = 20
"""Passes over the weights of a row, at most."""


def round_by_data(weights: Doubles, steps: Doubles, covariance: Doubles, largest: Integers) -> Integers:
    """Round rows of weights, one weight after another, by coordinate descent on the mean squared error of their sums.

    With e = weights - steps * whole, the error of a row is e C e. The best change of one whole number is
    round((C e)_j / (C_jj step_j)), the others kept.

    Shapes:
        weights, steps: (rows, n). covariance C: (n, n), of what they are multiplied with. largest: (rows, n).

    Args:
        steps: a whole number's worth; a weight of exactly 0 stays 0.
    """
    present = weights != 0.0
    whole = np.clip(np.rint(np.divide(weights, steps, out=np.zeros_like(weights), where=present)), -largest, largest)
    ridge = covariance + 1e-6 * np.diag(np.maximum(np.diag(covariance), 1e-9))
    slope = (weights - steps * whole) @ ridge
    for _ in range(SWEEPS):
        changed = False
        for j in range(weights.shape[1]):
            worth = np.where(present[:, j], ridge[j, j] * steps[:, j], np.inf)
            change = np.rint(slope[:, j] / worth)
            change = np.clip(whole[:, j] + change, -largest[:, j], largest[:, j]) - whole[:, j]
            if change.any():
                changed = True
                whole[:, j] += change
                slope -= (change * steps[:, j])[:, None] * ridge[j]
        if not changed:
            break
    return whole.astype(np.int64)


def error(weights: Doubles, steps: Doubles, whole: Integers, covariance: Doubles) -> Doubles:
    """Return the mean squared error of the rows' sums, (rows,)."""
    rest = weights - steps * whole
    return np.asarray(np.einsum("rj,jk,rk->r", rest, covariance, rest))
