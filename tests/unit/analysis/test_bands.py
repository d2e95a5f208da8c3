from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from velora.analysis.bands import make_band, moving_mean
from velora.analysis.statistics import Floats
from velora.core.errors import SettingError


@dataclass(frozen=True)
class Drawn:
    x: Floats
    values: Floats


def curve(x: Sequence[float], values: Sequence[float]) -> Drawn:
    return Drawn(np.array(x, float), np.array(values, float))


def test_moving_mean_does_not_average_over_what_is_not_there() -> None:
    np.testing.assert_allclose(moving_mean(np.array([4.0, 0.0, 2.0, 6.0]), 3), [4.0, 2.0, 2.0, 8.0 / 3])
    np.testing.assert_allclose(moving_mean(np.array([4.0]), 10), [4.0])


def test_a_band_covers_what_all_seeds_have() -> None:
    band = make_band([curve([0, 100], [0, 100]), curve([50, 200], [10, 10])], window=1)
    assert (band.x[0], band.x[-1]) == (50.0, 100.0)
    assert (band.middle[0], band.low[0], band.high[0]) == (30.0, 10.0, 50.0)
    assert (band.middle[-1], band.low[-1], band.high[-1]) == (55.0, 10.0, 100.0)
    assert band.kind == "smallest to largest"


def test_the_middle_is_the_interquartile_mean() -> None:
    band = make_band([curve([0, 1], [k, -k]) for k in (-100.0, 1.0, 2.0, 100.0)], window=1)
    assert (band.middle[0], band.middle[-1]) == (1.5, -1.5)
    assert band.low[0] < 1.5 < band.high[0]


def test_the_band_says_what_it_is() -> None:
    seeds = [curve([0, 1], [k, k]) for k in range(3)]
    assert make_band(seeds[:1], window=1).kind == ""
    assert make_band(seeds[:2], window=1).kind == "smallest to largest"
    band = make_band(seeds, window=1)
    assert band.kind == "95 % bootstrap interval"
    assert np.all((band.low >= 0) & (band.low < 1) & (band.high > 1) & (band.high <= 2))


def test_seeds_without_common_steps_are_refused() -> None:
    with pytest.raises(SettingError, match="ends at 10 and one that begins at 20; draw them over x=episodes"):
        make_band([curve([0, 10], [1, 1]), curve([20, 30], [1, 1])], window=1)
