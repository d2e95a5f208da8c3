"""Say how sure one can be of results over a handful of seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from velora.core.errors import SettingError, ShapeError

Floats: TypeAlias = NDArray[np.float64]


def interquartile_mean(values: Floats, *, axis: int = -1) -> Floats:
    """Average the middle half of the values: less moved by one lucky seed than the mean, steadier than the median.

    Where a quarter of the values isn't a whole number, the values at the cut count in part.

    Shapes:
        values: any; ``axis`` is reduced.

    Raises:
        ShapeError: if there are no values along ``axis``.

    Source:
        Agarwal et al. 2021, "Deep RL at the edge of the statistical precipice". Differs: they drop whole values.
    """
    ordered = np.moveaxis(np.sort(np.asarray(values, dtype=np.float64), axis=axis), axis, -1)
    n = ordered.shape[-1]
    if n == 0:
        raise ShapeError("interquartile_mean: expected at least one value, got none")
    edges = np.arange(n + 1) / n
    weights = np.clip(edges[1:], 0.25, 0.75) - np.clip(edges[:-1], 0.25, 0.75)
    result: Floats = (ordered * weights).sum(axis=-1) / weights.sum()
    return result


def bootstrap_interval(
    values: Floats, *, level: float = 0.95, n_resamples: int = 2000, seed: int = 0
) -> tuple[Floats, Floats]:
    """Estimate where the mean over seeds lies, by drawing whole seeds again and again with replacement.

    Shapes:
        values: (seeds, ...): one curve or number per seed.
        low, high: (...).

    Args:
        values: what each seed reached.
        level: how much of the resampled means lies between ``low`` and ``high``, in (0, 1).
        n_resamples: draws, >= 1.
        seed: of the draws, so that a figure can be made again.

    Raises:
        SettingError: if ``level`` or ``n_resamples`` is out of its domain.
    """
    return stratified_bootstrap([values], _mean_over_seeds, level=level, n_resamples=n_resamples, seed=seed)


def stratified_bootstrap(
    strata: Sequence[Floats],
    statistic: Callable[[Sequence[Floats]], Floats],
    *,
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> tuple[Floats, Floats]:
    """Estimate an interval for a statistic over several tasks, resampling the seeds of each task apart.

    Shapes:
        strata: one array (seeds, ...) per task; tasks may differ in their number of seeds.
        low, high: the shape of what ``statistic`` returns.

    Args:
        strata: what each seed of each task reached.
        statistic: from resampled strata to the number or curve of interest.
        level: how much of the resampled statistics lies between ``low`` and ``high``, in (0, 1).
        n_resamples: draws, >= 1.
        seed: of the draws.

    Raises:
        SettingError: if ``level`` or ``n_resamples`` is out of its domain, or a task has no seeds.

    Source:
        Efron & Tibshirani 1993, percentile interval; by task as in Agarwal et al. 2021.
    """
    if not 0 < level < 1:
        raise SettingError(f"level: expected a number between 0 and 1, got {level!r}")
    if n_resamples < 1:
        raise SettingError(f"n_resamples: expected a whole number >= 1, got {n_resamples!r}")
    arrays = [np.asarray(values, dtype=np.float64) for values in strata]
    if not arrays or any(len(values) == 0 for values in arrays):
        raise SettingError("strata: expected at least one task with at least one seed each, got an empty one")
    draws = np.random.default_rng(seed)
    samples = [
        statistic([values[draws.integers(len(values), size=len(values))] for values in arrays])
        for _ in range(n_resamples)
    ]
    low, high = np.quantile(np.asarray(samples), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def _mean_over_seeds(strata: Sequence[Floats]) -> Floats:
    mean: Floats = strata[0].mean(axis=0)
    return mean
