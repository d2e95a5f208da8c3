"""Histograms of durations, and what is written of them."""

from __future__ import annotations

import numpy as np

from velora.drive.report import histogram
from velora.drive.tally import N_BUCKETS, Durations, bucket, upper_us


def test_buckets_are_microseconds_then_fifty_of_them() -> None:
    assert [bucket(ns) for ns in (-5_000, 0, 999, 1_000, 999_999)] == [0, 0, 0, 1, 999]
    assert [bucket(ns) for ns in (1_000_000, 1_049_999, 1_050_000, 10**12)] == [1000, 1000, 1001, N_BUCKETS - 1]
    assert [upper_us(at) for at in (0, 999, 1000, 1001)] == [1.0, 1000.0, 1050.0, 1100.0]


def test_percentiles_of_a_hundred_durations() -> None:
    durations = Durations()
    for us in range(1, 101):
        durations.add(us * 1_000 - 1)  # in the buckets 0 to 99
    assert [durations.percentile_us(share) for share in (0.5, 0.9, 0.99)] == [50.0, 90.0, 99.0]
    numbers = durations.summary()
    assert (numbers["mean"], numbers["max"]) == (50.5, 100.0)
    assert (durations.between(0, 10), durations.between(10, 20), durations.between(90, float("inf"))) == (10, 10, 10)
    assert Durations().summary() == {"mean": 0.0, "p50": 0.0, "p90": 0.0, "p99": 0.0, "p99_9": 0.0, "max": 0.0}


def test_a_histogram_has_a_line_for_each_range_between_the_first_and_the_last() -> None:
    durations = Durations.of(np.bincount([5] * 40 + [30] * 10 + [N_BUCKETS - 1], minlength=N_BUCKETS), 0, 10**9)
    lines = histogram(durations)
    assert lines[0].split() == ["to", "10", "us", "40", "#" * 40]
    assert lines[1].split() == ["to", "20", "us", "0"]
    assert lines[2].split() == ["to", "50", "us", "10", "#" * 10]
    assert lines[-1].split() == ["from", "50", "ms", "1", "#"]
    assert histogram(Durations()) == ["  nothing was counted"]
