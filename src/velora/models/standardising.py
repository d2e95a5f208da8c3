"""Running mean and deviation of each seed's numbers, and numbers standardised by them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from velora.core.types import Array

MOST = 10.0
"""Largest size of a normalised number."""
EPSILON = 1e-8
"""What is added to a variance before it divides."""

Doubles: TypeAlias = NDArray[np.float64]


class RunningStatistics:
    """Follow mean and variance of each seed's numbers as more of them come.

    Shapes:
        mean, variance: (S, N) float64, 0 and 1 before the first numbers; the variance is that of all numbers met,
            divided by their count. count: (S, 1) float64.

    Source:
        Chan, Golub & LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample variances", as
        Gymnasium and Stable-Baselines3 use it. Differs: they begin as if 0.0001 numbers of mean 0 and variance 1 had
        been met, here nothing has.
    """

    def __init__(self, n_seeds: int, n_numbers: int) -> None:
        self.mean: Doubles = np.zeros((n_seeds, n_numbers))
        self.variance: Doubles = np.ones((n_seeds, n_numbers))
        self.count: Doubles = np.zeros((n_seeds, 1))

    def add(self, rows: Sequence[int], numbers: Array) -> None:
        """Count more numbers of some seeds.

        Shapes:
            numbers: (len(rows), T, N).
        """
        where: Any = slice(None) if len(rows) == len(self.count) else list(rows)
        new, before = float(numbers.shape[1]), self.count[where]
        mean = numbers[:, 0] if new == 1.0 else numbers.mean(1, dtype=np.float64)
        total, away = before + new, mean - self.mean[where]
        variance = self.variance[where] * (before / total) + away * away * (before * new / (total * total))
        if new > 1.0:
            variance += numbers.var(1, dtype=np.float64) * (new / total)
        self.mean[where] += away * (new / total)
        self.variance[where] = variance
        self.count[where] = total

    @property
    def factor(self) -> Doubles:
        """Factors of the numbers, (S, N): one over the standard deviation."""
        factor: Doubles = 1.0 / np.sqrt(self.variance + EPSILON)
        return factor


class Standardiser:
    """Bring numbers to a mean of 0 and a deviation of 1, within [-10, 10], by running statistics of each seed.

    Attributes:
        statistics: of all numbers counted so far.

    Shapes:
        middle, factor: (S, 1, 1, N) float32, as the statistics were when they were last refreshed.
    """

    def __init__(self, n_seeds: int, n_numbers: int) -> None:
        self.statistics = RunningStatistics(n_seeds, n_numbers)
        self.middle = np.zeros((n_seeds, 1, 1, n_numbers), np.float32)
        self.factor = np.ones((n_seeds, 1, 1, n_numbers), np.float32)
        self._applied = torch.from_numpy(self.middle), torch.from_numpy(self.factor)  # the same memory
        self.refresh()

    def count(self, rows: Sequence[int], numbers: Array) -> None:
        """Count more numbers (len(rows), T, N) of some seeds, and standardise by them from now on."""
        self.statistics.add(rows, numbers)
        self.refresh()

    def refresh(self) -> None:
        """Standardise by the statistics as they are now."""
        self.middle[:, 0, 0] = self.statistics.mean
        self.factor[:, 0, 0] = self.statistics.factor

    def fit(self, numbers: Tensor) -> None:
        """Standardise numbers (S, B, T, N) in their memory."""
        middle, factor = (there(values, numbers) for values in self._applied)
        numbers.sub_(middle).mul_(factor).clamp_(-MOST, MOST)


def there(values: Tensor, other: Tensor) -> Tensor:
    """Bring the host's numbers to where others are."""
    return values.to(other.device, non_blocking=True)
