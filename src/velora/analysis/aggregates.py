"""Results over several environments: the interquartile mean, performance profiles, probability of improvement.

Scores are a list with one array (seeds,) for each environment. They have to be on one scale, such as normalised
returns, but for the probability of improvement, which compares within environments alone.

Source:
    Agarwal et al. 2021, "Deep RL at the edge of the statistical precipice"; the same numbers as rliable 1.2.0 gives
    where every environment has equally many seeds, which is all that it takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from velora.analysis.statistics import Floats, interquartile_mean, stratified_bootstrap
from velora.core.errors import SettingError

Scores: TypeAlias = Sequence[Floats]

MIN_INTERVAL_SEEDS = 2
"""Fewer seeds have no interval: what one seed drawn again and again says of others is nothing."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number or a curve, and the interval around it. Shapes: () or (points,) each.

    ``low`` and ``high`` are NaN where there is no interval: some environment has a single seed.
    """

    value: Floats
    low: Floats
    high: Floats

    @property
    def has_interval(self) -> bool:
        """Whether there is an interval."""
        return bool(np.isfinite(self.low).all())


def aggregate_iqm(scores: Scores) -> Floats:
    """Average the middle half of all scores, of whatever environment: (seeds,) each to one number.

    Source:
        Agarwal et al. 2021, section 4.3; ``metrics.aggregate_iqm`` of rliable. It differs from the mean of each
        environment's own interquartile mean. An environment with more seeds than others weighs more.
    """
    return interquartile_mean(np.concatenate(scores, axis=-1))


def performance_profile(scores: Scores, thresholds: Floats) -> Floats:
    """Return which share of seeds scores more than each threshold, averaged over environments.

    Shapes:
        thresholds, result: (thresholds,).

    Source:
        Agarwal et al. 2021, equation 2 (run-score distribution); ``create_performance_profile`` of rliable.
    """
    shares: Floats = np.mean([_exceeds(values, thresholds).mean(axis=0) for values in scores], axis=0)
    return shares


def probability_of_improvement(first: Scores, second: Scores) -> Floats:
    """Return how probable it is that a seed of the first beats one of the second in an environment picked at random.

    A tie counts half. Scores of different environments aren't compared, so that they need no normalisation.

    Shapes:
        first, second: (draws, seeds) or (seeds,) for each environment, the same ones in the same order.
        result: (draws,) or ().

    Raises:
        SettingError: if the two have not equally many environments.

    Source:
        Agarwal et al. 2021, section 4.3; Mann and Whitney's statistic (1947) over the number of pairs, averaged over
        environments; ``probability_of_improvement`` of rliable.
    """
    if len(first) != len(second):
        raise SettingError(f"expected scores in the same environments, got {len(first)} and {len(second)} of them")
    wins = [_wins(ours, theirs) for ours, theirs in zip(first, second, strict=True)]
    probability: Floats = np.mean(wins, axis=0)
    return probability


def estimate_iqm(scores: Scores, *, n_resamples: int = 2000, seed: int = 0) -> Estimate:
    """Estimate :func:`aggregate_iqm` with its 95 % stratified bootstrap interval; curves go point by point.

    Shapes:
        scores: (seeds,) or (seeds, points) for each environment.
        result: () or (points,).
    """
    value = interquartile_mean(np.concatenate(scores), axis=0)
    return _estimate(value, scores, _iqm_of_draws, n_resamples, seed)


def estimate_profile(scores: Scores, thresholds: Floats, *, n_resamples: int = 2000, seed: int = 0) -> Estimate:
    """Estimate :func:`performance_profile` with the same interval at every threshold."""
    exceeds = [_exceeds(values, thresholds) for values in scores]
    return _estimate(performance_profile(scores, thresholds), exceeds, _share_of_draws, n_resamples, seed)


def estimate_improvement(first: Scores, second: Scores, *, n_resamples: int = 2000, seed: int = 0) -> Estimate:
    """Estimate :func:`probability_of_improvement` with the same interval; seeds of both are resampled."""
    value = probability_of_improvement(first, second)
    statistic = partial(_improvement_of_draws, len(first))
    return _estimate(value, [*first, *second], statistic, n_resamples, seed)


def _estimate(value: Floats, strata: Scores, statistic: object, n_resamples: int, seed: int) -> Estimate:
    if min(map(len, strata)) < MIN_INTERVAL_SEEDS:
        nothing = np.full(np.shape(value), np.nan)
        return Estimate(value, nothing, nothing)
    low, high = stratified_bootstrap(strata, statistic, n_resamples=n_resamples, seed=seed)  # type: ignore[arg-type]
    return Estimate(value, low, high)


def _iqm_of_draws(strata: Scores) -> Floats:
    return interquartile_mean(np.concatenate(strata, axis=1), axis=1)


def _share_of_draws(strata: Scores) -> Floats:
    share: Floats = np.mean([values.mean(axis=1) for values in strata], axis=0)
    return share


def _improvement_of_draws(n: int, strata: Scores) -> Floats:
    return probability_of_improvement(strata[:n], strata[n:])


def _exceeds(values: Floats, thresholds: Floats) -> Floats:
    """Mark with 1 the thresholds that each seed exceeds, and the others with 0: (seeds, thresholds)."""
    exceeds: Floats = (np.asarray(values)[:, None] > np.asarray(thresholds)).astype(np.float64)
    return exceeds


def _wins(ours: Floats, theirs: Floats) -> Floats:
    """Return the share of pairs of seeds in which ours is ahead, ties for a half: (..., n) and (..., m) to (...)."""
    ahead, tied = ours[..., :, None] > theirs[..., None, :], ours[..., :, None] == theirs[..., None, :]
    share: Floats = (ahead + 0.5 * tied).mean(axis=(-2, -1))
    return share
