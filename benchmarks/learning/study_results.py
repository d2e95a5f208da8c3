"""Raw evaluations of studies as CSV files, and the tables and pictures that are made of them."""

from __future__ import annotations

import csv
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

mpl.use("Agg")
from matplotlib import pyplot as plt

from benchmarks.learning.arms import Trained
from benchmarks.learning.studies import Arm, Study
from benchmarks.learning.watch import Point
from velora.analysis.statistics import interquartile_mean, stratified_bootstrap

LAST = 3
"""Evaluations at the end whose mean is a seed's score."""
FIELDS = ("seed", "step", "mean_return")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curves:
    """The evaluations of one arm.

    Shapes:
        steps: (evaluations,). returns: (seeds, evaluations).
    """

    steps: Floats
    returns: Floats
    seeds: tuple[int, ...]
    about: str

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
    slug = "".join(c if c.isalnum() else "-" for c in study.name.lower())
    return folder / f"table{study.table}" / slug / f"{arm.slug}.csv"


def write(trained: Trained, file: Path) -> None:
    """Write the raw evaluations of an arm, all or nothing; the first line says when, where and how long."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    with part.open("w", newline="") as out:
        out.write(f"# {date.today()}, {trained.seconds:.0f} s, {platform.machine()}, {os.cpu_count()} cores\n")
        table = csv.writer(out, lineterminator="\n")
        table.writerow(FIELDS)
        table.writerows((seed, step, f"{value:.3f}") for seed, step, value in sorted(trained.points))
    os.replace(part, file)


def read(file: Path) -> Curves:
    """Read raw evaluations back."""
    with file.open(newline="") as lines:
        about = next(lines).removeprefix("# ").strip()
        points: list[Point] = [(int(r["seed"]), int(r["step"]), float(r["mean_return"])) for r in csv.DictReader(lines)]
    seeds = tuple(sorted({seed for seed, _, _ in points}))
    steps = sorted({step for _, step, _ in points})
    by_place = {(seed, step): value for seed, step, value in points}
    returns = np.array([[by_place[seed, step] for step in steps] for seed in seeds])
    return Curves(np.array(steps, float), returns, seeds, about)


def read_all(folder: Path, study: Study) -> dict[str, Curves]:
    """Read the arms of a study that have been trained."""
    return {arm.name: read(file) for arm in study.arms if (file := path(folder, study, arm)).exists()}


def interval(scores: Floats) -> tuple[float, float, float]:
    """Return the interquartile mean over seeds and its 95 % stratified bootstrap interval (rliable's method)."""
    low, high = stratified_bootstrap([scores], lambda strata: interquartile_mean(strata[0], axis=0))
    return float(interquartile_mean(scores)), float(low), float(high)


def section(study: Study, curves: Mapping[str, Curves]) -> str:
    """Write one study as Markdown."""
    solved = "" if study.solved is None else f" | seeds that reached {study.solved:g}"
    shown = "".join(f", {wrapper['name']}" for wrapper in study.wrappers)
    lines = [
        f"### {study.name}",
        "",
        f"{study.env}{shown}; {study.n_steps:,} steps, evaluated every {study.evaluate_steps:,}.",
        "",
        f"| | seeds | last {LAST} evaluations | best evaluation{solved} | measured |",
        "|---|---|---|---|---|" + "---|" * (study.solved is not None),
    ]
    for name, curve in curves.items():
        final, best = (f"{m:.0f} [{low:.0f}, {high:.0f}]" for m, low, high in map(interval, (curve.final, curve.best)))
        reached = "" if study.solved is None else f" | {(curve.best >= study.solved).sum()} of {len(curve.seeds)}"
        lines.append(f"| {name} | {len(curve.seeds)} | {final} | {best}{reached} | {curve.about} |")
    if study.published:
        lines += ["", f"Published: {study.published}."]
    return "\n".join(lines)


def plot(studies: Sequence[tuple[Study, Mapping[str, Curves]]], file: Path) -> None:
    """Draw the interquartile mean of every arm over its steps, with the interval as a band."""
    figure, axes = plt.subplots(1, len(studies), figsize=(5.2 * len(studies), 3.8), squeeze=False, layout="constrained")
    for ax, (study, curves) in zip(axes.flat, studies, strict=True):
        for (name, curve), colour in zip(curves.items(), COLOURS, strict=False):
            low, high = stratified_bootstrap(
                [curve.returns], lambda strata: interquartile_mean(strata[0], axis=0), n_resamples=500
            )
            thousands = curve.steps / 1000
            ax.plot(thousands, interquartile_mean(curve.returns, axis=0), color=colour, label=name)
            ax.fill_between(thousands, low, high, color=colour, alpha=0.15, linewidth=0)
        if study.solved is not None:
            ax.axhline(study.solved, color="grey", linestyle="--", linewidth=1)
        ax.set(title=study.name, xlabel="thousand environment steps", ylabel="return")
        ax.legend(fontsize="small")
    figure.savefig(file, dpi=110)
    plt.close(figure)


def publish(folder: Path, studies: Sequence[Study]) -> str:
    """Write every table and its picture from the raw evaluations; return the text."""
    texts = []
    for table in sorted({study.table for study in studies}):
        found = [(s, read_all(folder, s)) for s in studies if s.table == table]
        found = [(study, curves) for study, curves in found if curves]
        if not found:
            continue
        texts.append("\n\n".join(section(study, curves) for study, curves in found))
        (folder / f"table{table}.md").write_text(texts[-1] + "\n")
        plot(found, folder / f"table{table}.png")
    return "\n\n".join(texts)
