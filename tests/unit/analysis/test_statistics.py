from __future__ import annotations

import numpy as np
import pytest

from velora.analysis.statistics import (
    Floats,
    bootstrap_interval,
    holm,
    interquartile_mean,
    permutation_p_value,
    stratified_bootstrap,
)
from velora.core.errors import SettingError, ShapeError

FIVE = np.array([36.25, 191.5, -12.75, 240.0, 77.5])
TEN = np.array([3.5, -1.25, 12.0, 7.75, 0.5, -20.0, 5.25, 9.0, 4.0, 88.0])
THREE_TASKS = [
    np.array([0.31, 0.55, 0.73, 0.18, 0.62, 0.49]),
    np.array([0.82, 0.64, 0.91, 0.77, 0.58, 0.99]),
    np.array([0.47, 0.12, 0.28, 0.36, 0.07, 0.41]),
]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([5.0], 5.0),
        ([1.0, 3.0], 2.0),
        ([1.0, 3.0, 8.0], 4.0),
        ([-100.0, 1.0, 2.0, 100.0], 1.5),
        # rliable 1.2.0, metrics.aggregate_iqm; of five values one is dropped at each end, of ten two.
        ([49.0, 28.0, 11.0, -34.0, 23.0], 20.666666666666668),
        ([-40.0, 23.0, 49.0, 34.0, 29.0, 30.0], 29.0),
        ([-3.0, 18.0, -25.0, 17.0, 33.0, -27.0, 42.0], 8.0),
        ([17.0, 34.0, -45.0, 40.0, -42.0, 33.0, 13.0, -2.0], 15.25),
        ([42.0, 4.0, 6.0, -28.0, 15.0, -28.0, 2.0, 9.0, -10.0], 2.2),
        ([-41.0, -35.0, 14.0, -22.0, 39.0, 43.0, -21.0, -42.0, 23.0, -50.0], -13.666666666666666),
    ],
)
def test_interquartile_mean(values: list[float], expected: float) -> None:
    assert interquartile_mean(np.array(values)) == pytest.approx(expected)
    assert interquartile_mean(np.array(values[::-1])) == pytest.approx(expected)


def test_interquartile_mean_along_an_axis() -> None:
    values = np.array([[-100.0, 1.0, 2.0, 100.0], [0.0, 5.0, 7.0, 9.0]])
    np.testing.assert_allclose(interquartile_mean(values), [1.5, 6.0])
    np.testing.assert_allclose(interquartile_mean(values.T, axis=0), [1.5, 6.0])


def test_interquartile_mean_of_nothing() -> None:
    with pytest.raises(ShapeError, match="at least one value"):
        interquartile_mean(np.empty((3, 0)))


def test_equal_seeds_leave_no_doubt() -> None:
    low, high = bootstrap_interval(np.full((4, 3), 2.0))
    np.testing.assert_array_equal(low, [2.0] * 3)
    np.testing.assert_array_equal(high, [2.0] * 3)


def test_the_interval_of_a_mean_is_about_two_standard_errors_to_each_side() -> None:
    values = np.random.default_rng(0).normal(size=200)
    low, high = bootstrap_interval(values)
    error = values.std() / np.sqrt(200)
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.3 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.3 * error)


def test_the_same_draws_give_the_same_interval() -> None:
    values = np.random.default_rng(0).normal(size=(5, 10))
    np.testing.assert_array_equal(bootstrap_interval(values, seed=3), bootstrap_interval(values, seed=3))
    assert not np.array_equal(bootstrap_interval(values, seed=3), bootstrap_interval(values, seed=4))


def test_tasks_are_resampled_apart() -> None:
    # Mixed up, a draw could take all its seeds from one task; apart, every sample holds exactly one 0 and one 10.
    low, high = stratified_bootstrap(
        [np.array([0.0, 0.0]), np.array([10.0, 10.0, 10.0])],
        lambda strata: np.mean([values.mean(axis=1) for values in strata], axis=0),
    )
    assert (float(low), float(high)) == (5.0, 5.0)


@pytest.mark.parametrize("settings", [{"level": 0.0}, {"level": 1.0}, {"n_resamples": 0}])
def test_bad_settings(settings: dict[str, float]) -> None:
    with pytest.raises(SettingError, match=next(iter(settings))):
        bootstrap_interval(np.ones(3), **settings)  # type: ignore[arg-type]


def test_no_seeds() -> None:
    with pytest.raises(SettingError, match="at least one seed"):
        bootstrap_interval(np.empty((0, 3)))


@pytest.mark.parametrize(
    ("scores", "expected", "within"),
    [
        # rliable 1.2.0, library.get_interval_estimates of aggregate_iqm, 50,000 resamples; its draws are others, and
        # its own ends move as far with another seed of NumPy's.
        ([FIVE], (3.583333, 223.833333), 1e-5),
        ([TEN], (-1.333333, 21.125), 0.2),
        (THREE_TASKS, (0.421, 0.596), 0.003),
    ],
)
def test_intervals_are_those_of_rliable(scores: list[Floats], expected: tuple[float, float], within: float) -> None:
    found = stratified_bootstrap(
        scores, lambda strata: interquartile_mean(np.concatenate(strata, axis=1)), n_resamples=20_000
    )
    assert found == pytest.approx(expected, abs=within)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        # scipy 1.17.1, permutation_test of the difference of trim_mean(0.25), all splits
        ([3.0, 1.0, 4.0, 8.0], [-2.0, 0.0, 2.0, 1.5], 0.08571428571428572),
        ([3.0, 1.0, 4.0, 8.0, 5.0], [-2.0, 0.0, 2.0, 1.5, -1.0], 0.023809523809523808),
        ([3.0, 1.0, 4.0, 8.0, 5.0], [2.0, 6.0, 1.5, 7.0, -1.0], 0.7777777777777778),
        (TEN.tolist(), (TEN[::-1] * 0.5 - np.arange(10) * 3.7).tolist(), 0.005369243759336639),
        ([1.0, 2.0], [1.0, 2.0], 1.0),
        ([1.0], [2.0], 1.0),
        ([500.0] * 5, [500.0] * 5, 1.0),
    ],
)
def test_permutation_p_values_are_those_of_scipy(first: list[float], second: list[float], expected: float) -> None:
    assert permutation_p_value(np.array(first), np.array(second)) == pytest.approx(expected)
    assert permutation_p_value(np.array(second), np.array(first)) == pytest.approx(expected)


def test_five_seeds_that_could_not_be_further_apart_have_a_p_value_of_four_in_252() -> None:
    # The lowest and the highest of five are dropped, so exchanging two extremes leaves the difference as it is.
    assert permutation_p_value(np.arange(5.0), 100.0 + np.arange(5.0)) == pytest.approx(4 / 252)


def test_scores_that_cannot_be_tested() -> None:
    with pytest.raises(ShapeError, match="equally many"):
        permutation_p_value(np.ones(4), np.ones(5))
    with pytest.raises(ShapeError, match="equally many"):
        permutation_p_value(np.ones((2, 2)), np.ones((2, 2)))
    with pytest.raises(SettingError, match="at most 11"):
        permutation_p_value(np.ones(12), np.ones(12))


def test_holm_multiplies_the_smallest_by_all_the_next_by_one_less() -> None:
    # 4 x 0.01, then 3 x 0.02 = 0.06; 2 x 0.03 is 0.06 as well; 0.04 alone would be below it, so it is raised.
    assert holm([0.02, 0.01, 0.04, 0.03]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.4]) == pytest.approx([0.9, 0.8])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []
