"""The functions of whole numbers are close to those that they stand for, and weights are rounded by the data."""

from __future__ import annotations

import numpy as np
import pytest

from velora.export.quantise import arithmetic as whole
from velora.export.quantise.rounding import error, round_by_data

SUMS = np.arange(-32768, 32769)


def test_sigmoid_and_tanh() -> None:
    x = SUMS / 4096
    assert np.abs(whole.sigmoid(SUMS) / 32768 - 1 / (1 + np.exp(-x))).max() < 3.5e-4  # at the ends
    inner = np.abs(x) < 7
    assert np.abs(whole.sigmoid(SUMS) / 32768 - 1 / (1 + np.exp(-x)))[inner].max() < 6e-5
    assert np.abs(whole.tanh(SUMS) / 32768 - np.tanh(x / 2)).max() < 7e-4
    assert whole.sigmoid(np.array([0, 10**6, -(10**6)])).tolist() == [16384, 32756, 12]


def test_softplus_and_decay() -> None:
    x = SUMS / 4096
    assert np.abs(whole.softplus(SUMS) / 32768 / np.log2(np.e) - np.logaddexp(0, x)).max() < 6e-4
    v = np.arange(0, 17 * 32768, 7)
    assert np.abs(whole.decay(v) / 32768 - 2.0 ** (-v / 32768)).max() < 8e-5
    assert whole.decay(np.array([0, 1 << 19])).tolist() == [32768, 0]


@pytest.mark.parametrize("bits", [12, 8, 4])
def test_stretch_is_a_product(bits: int) -> None:
    rate, dt = np.array([0, 1, 32767, 32768, 524287]), np.array([1, 4096, 65535])
    found = whole.stretch(rate[:, None], dt[None], bits)
    assert np.abs(found - rate[:, None] * dt[None] / 2.0**bits).max() < 1.0


def test_logarithm() -> None:
    dt = np.array([1e-6, 0.05, 1.0, 1.5, 16.0, 1e6], np.float32)
    assert np.abs(whole.logarithm(dt) / 32768 - np.log2(dt)).max() < 3e-4


def test_halves_are_rounded_away_from_zero() -> None:
    numbers = np.array([0.5, -0.5, 1.49, 4e9, -np.inf], np.float32)
    assert whole.quantise(numbers).tolist() == [1, -1, 1, 32767, -32767]
    assert whole.quantise_time(np.array([0.0, 1.0, 1e6], np.float32), 12).tolist() == [1, 4096, 65535]


def test_a_memory_of_any_size_is_remembered() -> None:
    memory, keep, accept, candidate = (np.array(v) for v in ([-3 << 20, 5], [32000, 0], [100, 32767], [-20000, 32767]))
    expected = memory * keep / 32768 + accept * candidate / 1024
    assert np.abs(whole.remember(memory, keep, accept, candidate) - expected).max() <= 2.0


def test_rounding_by_data_has_the_smaller_error() -> None:
    numbers = np.random.default_rng(0)
    weights, steps = numbers.normal(size=(6, 12)), np.full((6, 12), 0.1)
    weights[:, 3] = 0.0
    data = numbers.normal(size=(200, 3)) @ numbers.normal(size=(3, 12))  # correlated, as neurons are
    covariance, largest = np.cov(data, rowvar=False), np.full((6, 12), 127)
    nearest = np.rint(weights / steps).astype(np.int64)
    found = round_by_data(weights, steps, covariance, largest)
    assert (found[:, 3] == 0).all()
    better = error(weights, steps, found, covariance) / error(weights, steps, nearest, covariance)
    assert better.max() < 0.5
    assert np.abs(found - nearest).max() <= 40
