"""What was promised, and whether it is kept."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.speed.pendulum import ALGORITHMS, REJAX, RLTOOLS, RLTOOLS_ALONE, one_core, to_the_end, two_cores
from benchmarks.speed.plan import INVERTED, case
from benchmarks.speed.results import Result
from benchmarks.speed.rows import RECURRENT_PPO, SB3, SBX, SHAPES, VELORA

NATIVE = "native"


@dataclass(frozen=True, slots=True)
class Target:
    """Promise that something of ours is so many times better than a peer's.

    Attributes:
        row: where it is measured.
        what: is compared, in words.
        ours: the contender, with ``{kernel}`` in place of the kernel.
        peer: the other one; ``None`` compares with nothing: the share of rounds that got there at all.
        native, fallback: the ratio to reach with the native kernel, and with the best of the other kernels; ``None``
            where nothing is promised without a compiler.
    """

    row: int
    what: str
    ours: str
    case: str
    peer: str | None
    peer_case: str
    metric: str
    native: float
    fallback: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Say what ratio was reached, by which kernel; ``None`` if it was not measured."""

    ratio: float | None
    wanted: float | None
    kernel: str

    @property
    def text(self) -> str:
        """Say reached, or short by how much; nothing where nothing was promised."""
        if self.ratio is None:
            return "not measured"
        if self.wanted is None:
            return ""
        if self.ratio >= self.wanted:
            return "reached"
        return f"short by {100 * (1 - self.ratio / self.wanted):.0f} %"


def is_cost(metric: str) -> bool:
    """Tell whether less is better: times and memory, not rates."""
    return not metric.endswith("_per_s")


def ratio(ours: float, peer: float, metric: str) -> float:
    """Say how many times better ours is; 0 if ours never got there, infinite if only the peer didn't."""
    if not is_cost(metric):
        return ours / peer
    if math.isinf(ours):
        return 0.0
    return peer / ours


def spread(ours: Sequence[float], peer: Sequence[float], metric: str) -> tuple[float, float]:
    """Return the least and the greatest ratio of one round."""
    each = [ratio(a, b, metric) for a, b in zip(ours, peer, strict=False)]
    return min(each), max(each)


def reached(target: Target, result: Result, kernel: str) -> float | None:
    """Return the ratio of the medians over all rounds; ``None`` if either was not measured."""
    ours = result.values(target.ours.format(kernel=kernel), target.case, target.metric)
    if not ours:
        return None
    if target.peer is None:
        return statistics.fmean(not math.isinf(value) for value in ours)
    peer = result.values(target.peer, target.peer_case, target.metric)
    return ratio(statistics.median(ours), statistics.median(peer), target.metric) if peer else None


def judge(target: Target, result: Result, kernels: Sequence[str]) -> tuple[Verdict, Verdict]:
    """Compare with the promise for the native kernel, and with that for where there is no compiler."""
    native = Verdict(reached(target, result, NATIVE), target.native, NATIVE)
    others = [Verdict(reached(target, result, k), target.fallback, k) for k in kernels if k != NATIVE]
    best = max(others, key=lambda v: -1.0 if v.ratio is None else v.ratio, default=Verdict(None, target.fallback, "-"))
    return native, best


def _training() -> Iterator[Target]:
    work = case(INVERTED, 20)
    promised: Mapping[str, Sequence[tuple[str, str, float, float]]] = {
        "liquid": ((VELORA, work, 30, 10), (SB3, INVERTED, 14, 4.5), (SBX, INVERTED, 5, 1.5)),
        "dense": ((VELORA, work, 12, 5), (SB3, INVERTED, 6, 2.5), (SBX, INVERTED, 2, 0.8)),
    }
    for part, (critic, peers) in zip("ab", promised.items(), strict=True):
        ours = f"{critic} critic, {{kernel}}"
        for peer, peer_case, native, fallback in peers:
            what = f"1{part}: {critic} critic, n = 20, against {peer}"
            yield Target(1, what, ours, work, peer, peer_case, "steps_per_s", native, fallback)
        yield Target(1, f"1{part}: peak memory, against {SB3}", ours, work, SB3, INVERTED, "peak_mb", 1, 1)
    what = f"1a: ten seeds on two cores, against one of {VELORA}"
    yield Target(1, what, "ten seeds, {kernel}", work, VELORA, work, "steps_per_s", 80, 25)


def _solving() -> Iterator[Target]:
    yield Target(2, "2: share of seeds that solve it", "{kernel}", INVERTED, None, "", "solved_s", 1, 1)
    yield Target(2, f"2: median time, against {SBX}", "{kernel}", INVERTED, SBX, INVERTED, "solved_s", 3, 1)


def _sequences() -> Iterator[Target]:
    large, small = SHAPES
    promised = (
        ("ncps CfC", large, 4, 2.5),
        ("GRU", large, 1.5, 1),
        ("ncps CfC", small, 10, 2.5),
        ("GRU", small, 4, 0.8),
    )
    for peer, shape, native, fallback in promised:
        what = f"3: CfC {shape}, forward + backward, against {peer}"
        yield Target(3, what, "cfc, {kernel}", shape, peer, shape, "both_ms", native, fallback)


def _rest() -> Iterator[Target]:
    for n in (20, 64):
        name = f"n = {n}"
        what = f"5: recurrent training, {name}, against {RECURRENT_PPO}"
        yield Target(5, what, "{kernel}", name, RECURRENT_PPO, name, "steps_per_s", 10, 3)
    for metric, verb, wanted in (("save_ms", "save", 5), ("load_ms", "load", 10)):
        what = f"6: {verb} without buffer, against {VELORA}"
        yield Target(6, what, "{kernel}", "n = 20", VELORA, "n = 20", metric, wanted, wanted)


def _pendulum() -> Iterator[Target]:
    for algorithm in ALGORITHMS:
        where = one_core(algorithm)
        for ours, wanted in ((where, 1.3), (two_cores(algorithm), 2)):
            for peer in (RLTOOLS, RLTOOLS_ALONE):
                what = f"8: {ours}, against {peer} on one"
                yield Target(8, what, "{kernel}", ours, peer, where, "steps_per_s", wanted, None)
    for algorithm in ALGORITHMS:
        what = f"9: {algorithm}, median time to -200, against {RLTOOLS}"
        yield Target(9, what, "{kernel}", algorithm, RLTOOLS, algorithm, "solved_s", 1, None)
    for algorithm in ALGORITHMS:
        run = to_the_end(algorithm)
        what = f"10: ten seeds, {run}, start to end, against {REJAX}"
        yield Target(10, what, "{kernel}", run, REJAX, run, "total_s", 4, None)


TARGETS = (*_training(), *_solving(), *_sequences(), *_rest(), *_pendulum())
