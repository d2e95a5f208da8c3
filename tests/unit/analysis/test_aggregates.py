from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from velora.analysis.aggregates import (
    Scores,
    aggregate_iqm,
    estimate_improvement,
    estimate_iqm,
    estimate_profile,
    performance_profile,
    probability_of_improvement,
)
from velora.core.errors import SettingError

RLIABLE: dict[str, Any] = json.loads(Path(__file__).with_name("rliable_numbers.json").read_text())
"""Made by rliable_numbers.py from rliable 1.2.0."""
DRAWS = 20_000
THRESHOLDS = np.array(RLIABLE["thresholds"])


def scores(name: str) -> Scores:
    return [np.array(values) for values in RLIABLE["scores"][name]]


# ---------------------------------------------------------------------------------------------------------- by hand


def test_the_interquartile_mean_is_of_all_scores_together() -> None:
    # Of eight the two lowest and the two highest go: 1, 2 and 60, 100 leave 3, 4, 10, 20.
    pooled = [np.array([1.0, 2.0, 3.0, 4.0]), np.array([10.0, 20.0, 60.0, 100.0])]
    assert aggregate_iqm(pooled) == pytest.approx(37 / 4)
    # An environment's own means, 2.5 and 40, would average 21.25.
    assert aggregate_iqm(pooled) != pytest.approx(21.25)


def test_a_profile_counts_seeds_beyond_a_threshold_in_each_environment_apart() -> None:
    unequal = [np.array([0.0, 0.5, 1.0, 1.0]), np.array([0.5])]
    found = performance_profile(unequal, np.array([-0.1, 0.0, 0.5, 0.9, 1.0]))
    # First environment: 4/4, 3/4, 2/4, 2/4, 0; second: 1, 1, 0, 0, 0. Equal to the threshold isn't beyond it.
    np.testing.assert_allclose(found, [1.0, 0.875, 0.25, 0.25, 0.0])


def test_the_probability_of_improvement_counts_pairs_and_halves_ties() -> None:
    # 2 > 1, 2 = 2, 3 > 1, 3 > 2: 3.5 of 4; in the other environment 0 of 2.
    ours, theirs = [np.array([2.0, 3.0]), np.array([-5.0])], [np.array([1.0, 2.0]), np.array([-4.0, 900.0])]
    assert probability_of_improvement(ours, theirs) == pytest.approx(3.5 / 4 / 2)
    assert probability_of_improvement(theirs, ours) == pytest.approx(1 - 3.5 / 4 / 2)
    assert probability_of_improvement(ours, ours) == pytest.approx(0.5)


def test_environments_that_one_lacks_are_refused() -> None:
    with pytest.raises(SettingError, match="the same environments, got 2 and 1"):
        probability_of_improvement([np.ones(2), np.ones(2)], [np.ones(2)])


def test_curves_are_averaged_point_by_point() -> None:
    curves = [np.array([[0.0, 9.0], [1.0, 0.0]]), np.array([[2.0, 1.0], [7.0, 2.0]])]
    found = estimate_iqm(curves)
    np.testing.assert_allclose(found.value, [1.5, 1.5])  # of 0 1 2 7, and of 0 1 2 9
    assert found.low.shape == found.high.shape == (2,)
    assert np.all((found.low <= 1.5) & (found.high >= 1.5))


@pytest.mark.parametrize("lonely", [[np.array([1.0])], [np.array([1.0, 2.0]), np.array([3.0])]])
def test_one_seed_has_no_interval(lonely: list[Any]) -> None:
    for found in (
        estimate_iqm(lonely),
        estimate_profile(lonely, THRESHOLDS),
        estimate_improvement(lonely, lonely),
    ):
        assert not found.has_interval
        assert np.isfinite(found.value).all()
        assert np.isnan(found.high).all()


def test_two_seeds_have_their_range() -> None:
    found = estimate_iqm([np.array([1.0, 5.0])])
    assert (float(found.value), float(found.low), float(found.high)) == (3.0, 1.0, 5.0)


def test_equal_draws_give_equal_intervals() -> None:
    for estimate in (estimate_iqm, lambda s, **k: estimate_profile(s, THRESHOLDS, **k)):
        one, same, other = (estimate(scores("first"), n_resamples=50, seed=k) for k in (0, 0, 1))
        np.testing.assert_array_equal(one.low, same.low)
        assert not np.array_equal(one.low, other.low)


# ------------------------------------------------------------------------------------------------------ beside rliable


@pytest.mark.parametrize("name", RLIABLE["scores"])
def test_interquartile_means_are_those_of_rliable(name: str) -> None:
    value, low, high = RLIABLE["aggregate_iqm"][name]
    found = estimate_iqm(scores(name), n_resamples=DRAWS)
    assert float(found.value) == float(aggregate_iqm(scores(name))) == pytest.approx(value, abs=1e-12)
    assert (float(found.low), float(found.high)) == pytest.approx((low, high), abs=0.003)


@pytest.mark.parametrize("name", RLIABLE["scores"])
def test_profiles_are_those_of_rliable(name: str) -> None:
    value, low, high = RLIABLE["performance_profile"][name]
    found = estimate_profile(scores(name), THRESHOLDS, n_resamples=DRAWS)
    np.testing.assert_allclose(found.value, value, atol=1e-12)
    # Shares go in steps of one seed in all, and a quantile may lie a step beside: 0.02 of 50, 0.029 of 35.
    step = 1 / sum(map(len, scores(name))) + 1e-9
    np.testing.assert_allclose(found.low, low, atol=step)
    np.testing.assert_allclose(found.high, high, atol=step)


@pytest.mark.parametrize("pair", RLIABLE["probability_of_improvement"])
def test_probabilities_of_improvement_are_those_of_rliable(pair: str) -> None:
    value, low, high = RLIABLE["probability_of_improvement"][pair]
    first, second = map(scores, pair.split(","))
    found = estimate_improvement(first, second, n_resamples=DRAWS)
    assert float(found.value) == pytest.approx(value, abs=1e-12)
    assert (float(found.low), float(found.high)) == pytest.approx((low, high), abs=0.005)


# ------------------------------------------------------------------------------------------------------- how sure


def coverage(n_seeds: int, n_tasks: int, trials: int = 400) -> float:
    """Return in which share of trials the 95 % interval holds the interquartile mean that there is."""
    draws = np.random.default_rng(n_seeds)
    held = 0
    for trial in range(trials):
        found = estimate_iqm(list(draws.normal(size=(n_tasks, n_seeds))), n_resamples=500, seed=trial)
        held += bool(found.low <= 0.0 <= found.high)  # that of a symmetric distribution around 0
    return held / trials


@pytest.mark.parametrize(
    ("n_seeds", "n_tasks", "least", "most"),
    [(3, 1, 0.66, 0.82), (5, 1, 0.78, 0.90), (20, 1, 0.89, 0.97), (10, 5, 0.90, 0.98)],
)
def test_how_often_intervals_hold_the_truth(n_seeds: int, n_tasks: int, least: float, most: float) -> None:
    # 95 % is what a percentile interval promises of many seeds; the guide says what it gives for few.
    assert least <= coverage(n_seeds, n_tasks) <= most
