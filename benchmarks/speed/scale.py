"""Rows against the arithmetic limit of the machine."""

from __future__ import annotations

from benchmarks.speed.arithmetic import CORE
from benchmarks.speed.results import Result

AXES = {"S": "seeds, and environments, S", "n": "neurons, n", "T": "steps of a window, T"}
"""What grows in row 4; a case is named ``S = 4``."""
WORK = {"steps_per_s": "step_mflop", "total_s": "run_mflop", "forward_ms": "forward_mflop", "both_ms": "both_mflop"}
"""Metrics that a limit is drawn beside, and where a measurement says how much arithmetic is in it."""
_UNITS = {"total_s": 1.0, "forward_ms": 1e3, "both_ms": 1e3}


def points(result: Result, letter: str) -> dict[int, str]:
    """Find the cases along one axis, by their size."""
    cases = (case.split(" = ") for case in result.names("case"))
    return {int(size): f"{axis} = {size}" for axis, size in cases if axis == letter}


def peak_gflops(result: Result) -> float:
    """Return the fastest product of large matrices that a process of the row has measured; NaN if none has."""
    return max((m["peak_gflops"] for m in result.measurements if "peak_gflops" in m), default=float("nan"))


def limits(result: Result) -> dict[str, float]:
    """Return for each case of row 4 how long the arithmetic of its update takes at the machine's best, in ms."""
    best = peak_gflops(result)
    return {m["case"]: m["update_mflop"] / best for m in result.measurements if "update_mflop" in m}


def limit(result: Result, contender: str, case: str, metric: str) -> float | None:
    """Return what a contender would reach if all its cores did nothing but its arithmetic, at the machine's best.

    ``None`` if the metric has no limit, or nothing says how much arithmetic there is.
    """
    if metric not in WORK or CORE not in result.names("contender"):
        return None
    mflop, cores = (result.median(contender, case, name) for name in (WORK[metric], "threads"))
    if mflop is None or cores is None:
        return None
    seconds = mflop / (cores * peak_gflops(result) * 1e3)
    return 1 / seconds if metric == "steps_per_s" else seconds * _UNITS[metric]
