"""Raw evaluations of studies as CSV files."""

from __future__ import annotations

import csv
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning.arms import Trained
from benchmarks.learning.studies import Arm, Study

LAST = 3
"""Evaluations at the end whose mean is a seed's score."""
FIELDS = ("seed", "step", "mean_return")
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curves:
    """The evaluations of one arm, and what it did in the tests after its training.

    Shapes:
        steps: (evaluations,). returns: (seeds, evaluations). tests: (seeds,) each.
    """

    steps: Floats
    returns: Floats
    seeds: tuple[int, ...]
    about: str
    tests: Mapping[str, Floats]

    @property
    def final(self) -> Floats:
        """Each seed's mean of the last evaluations, (seeds,)."""
        score: Floats = self.returns[:, -LAST:].mean(1)
        return score

    @property
    def best(self) -> Floats:
        """Each seed's best evaluation, (seeds,)."""
        score: Floats = self.returns.max(1)
        return score


def path(folder: Path, study: Study, arm: Arm) -> Path:
    """Say where the raw evaluations of an arm are kept."""
    return folder / f"table{study.table}" / study.slug / f"{arm.slug}.csv"


def write(trained: Trained, file: Path) -> None:
    """Write the raw evaluations of an arm, all or nothing; the first line says when, where and how long.

    What it did in tests stands after the evaluations, with the name of the test in place of a step.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    with part.open("w", newline="") as out:
        where = trained.gpu or f"{platform.machine()}, {os.cpu_count()} cores"
        out.write(f"# {date.today()}, {trained.seconds:.0f} s, {where}\n")
        table = csv.writer(out, lineterminator="\n")
        table.writerow(FIELDS)
        for rows in (sorted(trained.points), trained.tests):
            table.writerows((seed, where, f"{value:.3f}") for seed, where, value in rows)
    os.replace(part, file)


def read(file: Path) -> Curves:
    """Read raw evaluations back."""
    with file.open(newline="") as lines:
        about = next(lines).removeprefix("# ").strip()
        by_place = {(int(row["seed"]), row["step"]): float(row["mean_return"]) for row in csv.DictReader(lines)}
    seeds = tuple(sorted({seed for seed, _ in by_place}))
    steps = sorted(int(where) for where in {where for _, where in by_place} if where.isdecimal())
    names = dict.fromkeys(where for _, where in by_place if not where.isdecimal())
    returns = np.array([[by_place[seed, str(step)] for step in steps] for seed in seeds])
    tests = {name: np.array([by_place[seed, name] for seed in seeds]) for name in names}
    return Curves(np.array(steps, float), returns, seeds, about, tests)


def read_all(folder: Path, study: Study) -> dict[str, Curves]:
    """Read the arms of a study that have been trained."""
    return {arm.name: read(file) for arm in study.arms if (file := path(folder, study, arm)).exists()}
