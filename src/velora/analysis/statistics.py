"""Uncertainty of results over a handful of seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from velora.core.errors import SettingError, ShapeError

Floats: TypeAlias = NDArray[np.float64]

_NUMBERS_AT_ONCE = 2_000_000
"""How many resampled numbers are held in memory together."""


def interquartile_mean(values: Floats, *, axis: int = -1) -> Floats:
    """Average the middle half of the values: less moved by one lucky seed than the mean, steadier than the median.

    A quarter of ``n`` values, ``n // 4`` of them, is dropped at each end: of 5 values the lowest and the highest, of 10
    values two and two.

    Shapes:
        values: any; ``axis`` is reduced.

    Raises:
        ShapeError: if there are no values along ``axis``.

    Source:
        Agarwal et al. 2021, "Deep RL at the edge of the statistical precipice"; the same number as rliable's
        ``aggregate_iqm`` for one task, which is ``scipy.stats.trim_mean(values, 0.25)``.
    """
    ordered = np.moveaxis(np.sort(np.asarray(values, dtype=np.float64), axis=axis), axis, -1)
    n = ordered.shape[-1]
    if n == 0:
        raise ShapeError("interquartile_mean: expected at least one value, got none")
    middle: Floats = ordered[..., n // 4 : n - n // 4].mean(axis=-1)
    return middle


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
        statistic: from resampled strata, (draws, seeds, ...) each, to the numbers or curves of interest, (draws, ...).
        level: how much of the resampled statistics lies between ``low`` and ``high``, in (0, 1).
        n_resamples: draws, >= 1.
        seed: of the draws.

    Raises:
        SettingError: if ``level`` or ``n_resamples`` is out of its domain, or a task has no seeds.

    Source:
        Efron & Tibshirani 1993, percentile interval; by task as in Agarwal et al. 2021. Differs from rliable: a seed's
        whole curve is drawn, where rliable draws each of its points by itself, and 50,000 resamples are its default.
    """
    if not 0 < level < 1:
        raise SettingError(f"level: expected a number between 0 and 1, got {level!r}")
    if n_resamples < 1:
        raise SettingError(f"n_resamples: expected a whole number >= 1, got {n_resamples!r}")
    arrays = [np.asarray(values, dtype=np.float64) for values in strata]
    if not arrays or any(len(values) == 0 for values in arrays):
        raise SettingError("strata: expected at least one task with at least one seed each, got an empty one")
    draws = np.random.default_rng(seed)
    places = [draws.integers(len(values), size=(n_resamples, len(values))) for values in arrays]
    at_once = max(1, _NUMBERS_AT_ONCE // sum(values.size for values in arrays))
    samples = [
        statistic([values[drawn[start : start + at_once]] for values, drawn in zip(arrays, places, strict=True)])
        for start in range(0, n_resamples, at_once)
    ]
    low, high = np.quantile(np.concatenate(samples), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def permutation_p_value(first: Floats, second: Floats) -> float:
    """Test whether the scores of two agents come from one distribution, by the difference of interquartile means.

    If they do, the agents' names say nothing of the scores: every way to deal all scores out to two agents is as likely
    as the one observed. The p-value is the share of ways with a difference at least as large, to either side.
    It is exact, and never below ``2 / comb(2 n, n)``. Seeds count as independent, not as pairs.

    Shapes:
        first, second: (seeds,) each.

    Raises:
        ShapeError: if the two don't have equally many seeds, or there are none.
        SettingError: if there are more than 11 seeds each; all ways can't be tried then.

    Source:
        Fisher 1935 and Pitman 1937, permutation test of two samples.
    """
    if first.shape != second.shape or first.ndim != 1 or len(first) == 0:
        raise ShapeError(f"expected equally many scores of both agents, got {first.shape} and {second.shape}")
    n = len(first)
    if n > 11:
        raise SettingError(f"permutation_p_value: expected at most 11 seeds each, got {n}; take a test that samples")
    scores = np.concatenate([first, second]).astype(np.float64)
    dealt = _ways_to_halve(n)
    differences = np.abs(interquartile_mean(scores[dealt]) - interquartile_mean(scores[_others(dealt)]))
    observed = abs(interquartile_mean(first) - interquartile_mean(second))
    rounding = 1e-9 * np.abs(scores).max()
    return float((differences >= observed - rounding).mean())


@lru_cache(maxsize=4)
def _ways_to_halve(n: int) -> NDArray[np.intp]:
    """List every half of ``2 n`` scores that holds the first one, (ways, n); the other halves mirror these."""
    rest = combinations(range(1, 2 * n), n - 1)
    return np.array([(0, *half) for half in rest], dtype=np.intp)


def _others(dealt: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the indices that each half leaves to the other, (ways, n)."""
    ways, n = dealt.shape
    left = np.ones((ways, 2 * n), dtype=bool)
    np.put_along_axis(left, dealt, values=False, axis=1)
    return np.nonzero(left)[1].reshape(ways, n)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for how many there are (Holm's correction).

    The smallest of ``m`` is multiplied by ``m``, the next by ``m - 1`` and so on; none comes out below a smaller one's.
    Calling those below 0.05 findings is wrong, even once, in at most 5 % of such families, also where tests depend on
    each other.

    Source:
        Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for rank, which in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[which]))
        adjusted[which] = highest
    return adjusted


def _mean_over_seeds(strata: Sequence[Floats]) -> Floats:
    mean: Floats = strata[0].mean(axis=1)
    return mean
