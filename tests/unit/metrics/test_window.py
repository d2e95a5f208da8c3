from __future__ import annotations

import math

import pytest

from velora.core.errors import SettingError
from velora.metrics import MovingWindow


def filled(size: int, *values: float) -> MovingWindow:
    window = MovingWindow(size)
    for value in values:
        window.add(value)
    return window


def test_ten_returns_in_a_window_of_a_hundred_average_over_ten() -> None:
    stats = filled(100, *[-150.0] * 10).stats()
    assert (stats.mean, stats.std, stats.max) == (-150.0, 0.0, -150.0)
    assert (stats.count, stats.size, stats.is_full) == (10, 100, False)


def test_a_return_of_exactly_zero_counts() -> None:
    stats = filled(3, 5.0, 0.0, 0.0).stats()
    assert stats.mean == 5.0 / 3
    assert stats.is_full
    assert filled(2, 5.0, 0.0, 0.0).stats().max == 0.0


def test_an_empty_window_has_no_numbers() -> None:
    stats = MovingWindow(4).stats()
    assert stats.count == 0
    assert not stats.is_full
    assert all(math.isnan(number) for number in (stats.mean, stats.std, stats.max))


def test_a_window_of_one_holds_the_newest() -> None:
    window = filled(1, 1.0, 2.0)
    assert window.values == (2.0,)
    assert len(window) == 1
    assert window.is_full


def test_the_standard_deviation_is_the_populations() -> None:
    assert filled(4, 1.0, 3.0).stats().std == 1.0


def test_infinite_returns_give_infinite_statistics_without_a_warning() -> None:
    stats = filled(3, math.inf, 1.0, -math.inf).stats()
    assert math.isnan(stats.mean)
    assert stats.max == math.inf


def test_loading_into_a_smaller_window_keeps_the_newest() -> None:
    window = MovingWindow(2)
    window.load_state_dict(filled(5, 1.0, 2.0, 3.0).state_dict())
    assert window.values == (2.0, 3.0)
    assert window.is_full


def test_loading_into_a_larger_window_is_not_full() -> None:
    window = MovingWindow(5)
    window.load_state_dict(filled(2, 1.0, 2.0).state_dict())
    assert window.values == (1.0, 2.0)
    assert not window.is_full


@pytest.mark.parametrize("size", [0, -1, 2.0, True, "3", None])
def test_a_size_that_is_none_is_refused(size: object) -> None:
    with pytest.raises(SettingError, match="window_size: expected a whole number >= 1, got"):
        MovingWindow(size)  # type: ignore[arg-type]


@pytest.mark.parametrize("state", [{}, {"values": None}, {"values": ["much"]}])
def test_a_state_that_is_none_is_refused_and_changes_nothing(state: dict[str, object]) -> None:
    window = filled(2, 1.0)
    with pytest.raises(SettingError, match="window state"):
        window.load_state_dict(state)
    assert window.values == (1.0,)
