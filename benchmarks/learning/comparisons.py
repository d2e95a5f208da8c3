"""Comparisons of arms by the scores of their seeds, and how sure they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning.studies import Arm, Study
from benchmarks.learning.study_results import Curves, Floats
from velora.analysis.statistics import holm, interquartile_mean, permutation_p_value

RESAMPLES = 50_000
"""Of every interval, as many as rliable draws by default."""
LEVEL = 0.05
"""Below this an adjusted p-value counts as a finding."""
Found = Sequence[tuple[Study, Mapping[str, Curves]]]
"""Studies with the arms of theirs that have been trained."""
Interval = tuple[float, float, float]
"""Interquartile mean, and the two ends of its 95 % interval."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The scores of an arm beside those of another, on the same seeds.

    Attributes:
        study, arm, other: names.
        gains: how much more the arm earns, seed by seed, (seeds,).
        p_value: of the permutation test of the two arms' scores, uncorrected.
        adjusted: the same after Holm's correction over all comparisons.
    """

    study: str
    arm: str
    other: str
    gains: Floats
    p_value: float
    adjusted: float

    @property
    def verdict(self) -> str:
        """Win or loss where the interval of the differences excludes zero, else tie."""
        _, low, high = interval(self.gains)
        return "win" if low > 0.0 else "loss" if high < 0.0 else "tie"

    @property
    def stands(self) -> bool:
        """Whether a win or a loss is a finding after Holm's correction too."""
        return self.verdict != "tie" and self.adjusted < LEVEL


def interval(scores: Floats) -> Interval:
    """Return the interquartile mean over seeds and its 95 % bootstrap interval, as rliable does for one task.

    It is :func:`velora.analysis.statistics.stratified_bootstrap` of the ordered scores, with all resamples at once: the
    middle of a resample of ordered scores is known by the places drawn, whatever the scores.
    """
    resampled = np.sort(scores)[_middles(len(scores))].mean(1)
    low, high = np.quantile(resampled, (0.025, 0.975))
    return float(interquartile_mean(scores)), float(low), float(high)


@cache
def _middles(n: int) -> NDArray[np.intp]:
    """Draw places among ``n`` ordered scores, and keep the middle half of each draw, (resamples, middle)."""
    drawn = np.sort(np.random.default_rng(0).integers(n, size=(RESAMPLES, n)), axis=1)
    return drawn[:, n // 4 : n - n // 4]


def compare(found: Found) -> list[Comparison]:
    """Compare every arm with the one it is measured by: its study's reference, or else the peer of the same name."""
    pairs = [
        (study, arm, other, curves[arm.name].final, curves[other.name].final)
        for study, curves in found
        for arm, other in _pairs(study)
        if arm.name in curves and other.name in curves and curves[arm.name].seeds == curves[other.name].seeds
    ]
    p_values = [permutation_p_value(ours, theirs) for *_, ours, theirs in pairs]
    return [
        Comparison(study.name, arm.name, other.name, ours - theirs, p, adjusted)
        for (study, arm, other, ours, theirs), p, adjusted in zip(pairs, p_values, holm(p_values), strict=True)
    ]


def _pairs(study: Study) -> Iterator[tuple[Arm, Arm]]:
    for arm in study.arms:
        for other in study.arms:
            is_peer = arm.agent is not None and other.agent is None and arm.algorithm_name == other.algorithm
            if arm is not other and (other.name == study.reference if study.reference else is_peer):
                yield arm, other
