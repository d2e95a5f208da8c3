from __future__ import annotations

import numpy as np
import pytest

from velora.analysis.statistics import bootstrap_interval, interquartile_mean, stratified_bootstrap
from velora.core.errors import SettingError, ShapeError


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([5.0], 5.0),
        ([1.0, 3.0], 2.0),
        ([-100.0, 1.0, 2.0, 100.0], 1.5),
        # Five values: the middle one counts 0.2, its neighbours 0.15 each, of 0.5 in all.
        ([0.0, 1.0, 2.0, 4.0, 100.0], (0.15 * 1 + 0.2 * 2 + 0.15 * 4) / 0.5),
        ([8.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 4.5),
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
        lambda strata: np.mean([values.mean() for values in strata]),
    )
    assert (float(low), float(high)) == (5.0, 5.0)


@pytest.mark.parametrize("settings", [{"level": 0.0}, {"level": 1.0}, {"n_resamples": 0}])
def test_bad_settings(settings: dict[str, float]) -> None:
    with pytest.raises(SettingError, match=next(iter(settings))):
        bootstrap_interval(np.ones(3), **settings)  # type: ignore[arg-type]


def test_no_seeds() -> None:
    with pytest.raises(SettingError, match="at least one seed"):
        bootstrap_interval(np.empty((0, 3)))
