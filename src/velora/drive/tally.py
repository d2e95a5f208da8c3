"""Counts of a loop as it runs: whole numbers only, in memory that stays where it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FINE, COARSE, COARSE_US = 1_000, 2_000, 50
"""Buckets of 1 microsecond, then buckets of 50, which reach to 101 ms; one more holds all beyond."""
N_BUCKETS = FINE + COARSE + 1


def bucket(ns: int) -> int:
    """Return the bucket of a duration; ``native/loop.c`` has the same rule."""
    us = ns // 1_000
    if us < FINE:
        return max(us, 0)
    return min(FINE + (us - FINE) // COARSE_US, FINE + COARSE)


def upper_us(index: int) -> float:
    """Return where a bucket ends, in microseconds."""
    return index + 1.0 if index < FINE else FINE + (index - FINE + 1.0) * COARSE_US


class Durations:
    """A histogram of durations, to the microsecond below a millisecond."""

    def __init__(self) -> None:
        self.counts: list[int] = [0] * N_BUCKETS
        self.n = self.total_ns = self.most_ns = 0

    def add(self, ns: int) -> None:
        """Count one."""
        self.counts[bucket(ns)] += 1
        self.n += 1
        self.total_ns += ns
        if ns > self.most_ns:
            self.most_ns = ns

    @classmethod
    def of(cls, counts: NDArray[np.int64], total_ns: int, most_ns: int) -> Durations:
        """Take over what the loop in C has counted, (N_BUCKETS,)."""
        made = cls()
        made.counts, made.n = counts.tolist(), int(counts.sum())
        made.total_ns, made.most_ns = int(total_ns), int(most_ns)
        return made

    def percentile_us(self, share: float) -> float:
        """Return the duration in microseconds that this share of them doesn't exceed; 0 where there are none."""
        wanted, seen = share * self.n, 0
        for index, count in enumerate(self.counts):
            seen += count
            if count and seen >= wanted:
                return min(upper_us(index), self.most_ns / 1_000)
        return 0.0

    def between(self, low_us: float, high_us: float) -> int:
        """Count those from ``low_us`` to below ``high_us``, both ends of buckets."""
        ends = [upper_us(index) for index in range(N_BUCKETS - 1)] + [float("inf")]
        return sum(count for count, end in zip(self.counts, ends, strict=True) if low_us < end <= high_us)

    def summary(self) -> dict[str, float]:
        """Return mean, percentiles and the largest, in microseconds."""
        shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99_9": 0.999}
        mean = self.total_ns / self.n / 1_000 if self.n else 0.0
        numbers = {"mean": mean, **{name: self.percentile_us(share) for name, share in shares.items()}}
        return {name: round(value, 1) for name, value in {**numbers, "max": self.most_ns / 1_000}.items()}


class Tally:
    """Counts of one drive.

    Attributes:
        ticks: of the schedule, begun or skipped.
        acted: ticks at which a reading was there and an action was written.
        late: ticks whose work was done after their deadline.
        skipped: ticks that never began, since the work of earlier ones took their time.
        missing: ticks without a new reading.
        trips: how often the watchdog wrote the safe action.
        lateness: from when a tick was due to when it began.
        work: from there to when its action was written.
        interval: by how much the time between two ticks differed from the period.
        dt_sum, dt_least, dt_most: of the policy's dt, in control steps.
        episodes: the returns of episodes that ended.
    """

    def __init__(self) -> None:
        self.ticks = self.acted = self.late = self.skipped = self.missing = self.trips = 0
        self.lateness, self.work, self.interval = Durations(), Durations(), Durations()
        self.dt_sum, self.dt_least, self.dt_most = 0.0, float("inf"), 0.0
        self.episodes: list[float] = []

    @property
    def misses(self) -> int:
        """Missed deadlines."""
        return self.late + self.skipped

    def told(self, dt: float) -> None:
        """Count an action, and the dt that the policy was told."""
        self.acted += 1
        self.dt_sum += dt
        if dt < self.dt_least:
            self.dt_least = dt
        if dt > self.dt_most:
            self.dt_most = dt
