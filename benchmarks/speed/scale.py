"""Row 4 against the arithmetic limit of the machine."""

from __future__ import annotations

from benchmarks.speed.results import Result

AXES = {"S": "seeds, and environments, S", "n": "neurons, n", "T": "steps of a window, T"}
"""What grows in row 4; a case is named ``S = 4``."""


def points(result: Result, letter: str) -> dict[int, str]:
    """Find the cases along one axis, by their size."""
    cases = (case.split(" = ") for case in result.names("case"))
    return {int(size): f"{axis} = {size}" for axis, size in cases if axis == letter}


def limits(result: Result) -> dict[str, float]:
    """Return for each case how long the arithmetic of its update takes at the machine's best, in ms.

    The best is the fastest large matrix product that any process of the row has measured.
    """
    measured = [m for m in result.measurements if "peak_gflops" in m]
    best = max((m["peak_gflops"] for m in measured), default=float("nan"))
    return {m["case"]: m["update_mflop"] / best for m in measured}
