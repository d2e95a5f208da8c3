"""Raw evaluations of studies as CSV files, and the tables and pictures that are made of them."""

from __future__ import annotations

import csv
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

mpl.use("Agg")
from matplotlib import pyplot as plt

from benchmarks.learning.arms import Trained
from benchmarks.learning.studies import Arm, Study
from velora.analysis.statistics import interquartile_mean, stratified_bootstrap

LAST = 3
"""Evaluations at the end whose mean is a seed's score."""
FIELDS = ("seed", "step", "mean_return")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
LINES = ("-", "--", ":")
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
    slug = "".join(c if c.isalnum() else "-" for c in study.name.lower())
    return folder / f"table{study.table}" / slug / f"{arm.slug}.csv"


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


def interval(scores: Floats) -> tuple[float, float, float]:
    """Return the interquartile mean over seeds and its 95 % stratified bootstrap interval (rliable's method)."""
    low, high = _bootstrap(scores, partial(interquartile_mean, axis=1))
    return float(interquartile_mean(scores)), low, high


def _bootstrap(scores: Floats, statistic: Callable[[Floats], Floats]) -> tuple[float, float]:
    """Do what :func:`velora.analysis.statistics.stratified_bootstrap` does, to the bit, with all resamples at once."""
    seeds = np.random.default_rng(0).integers(len(scores), size=(2000, len(scores)))
    low, high = np.quantile(statistic(scores[seeds]), (0.025, 0.975))
    return float(low), float(high)


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
        final, best = (_cell(interval(score)) for score in (curve.final, curve.best))
        reached = "" if study.solved is None else f" | {(curve.best >= study.solved).sum()} of {len(curve.seeds)}"
        lines.append(f"| {name} | {len(curve.seeds)} | {final} | {best}{reached} | {curve.about} |")
    names = list(dict.fromkeys(name for curve in curves.values() for name in curve.tests))
    if names:
        lines += _tests(names, curves)
    if study.reference in curves:
        lines += _differences(names, curves, study.reference)
    if study.published:
        lines += ["", f"Published: {study.published}."]
    return "\n".join(lines)


def _tests(names: Sequence[str], curves: Mapping[str, Curves]) -> list[str]:
    """Write what the arms did after their training."""
    lines = [
        "",
        "After training, without learning any more:",
        "",
        f"| | {' | '.join(names)} |",
        "|---" * len(names) + "|---|",
    ]
    for arm, curve in curves.items():
        cells = [_cell(interval(curve.tests[name])) if name in curve.tests else "" for name in names]
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return lines


def _differences(names: Sequence[str], curves: Mapping[str, Curves], reference: str) -> list[str]:
    """Write how much more the arms earn than the reference, seed by seed; bold where the interval excludes zero."""
    other = curves[reference]
    tests = [name for name in names if name in other.tests]
    columns = [f"last {LAST} evaluations", "seeds ahead", *tests]
    lines = ["", f"Mean difference to *{reference}*, paired by seed:", "", f"| | {' | '.join(columns)} |"]
    lines.append("|---" * len(columns) + "|---|")
    for arm, curve in curves.items():
        if arm == reference or curve.seeds != other.seeds:
            continue
        gains = curve.final - other.final
        pairs = [(curve.tests.get(name), other.tests[name]) for name in tests]
        cells = [_difference(gains), f"{(gains > 0.0).sum()} of {len(gains)}"]
        cells += ["" if ours is None else _difference(ours - theirs) for ours, theirs in pairs]
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return lines


def _difference(gains: Floats) -> str:
    low, high = _bootstrap(gains, partial(np.mean, axis=1))
    cell = _cell((float(gains.mean()), low, high), sign="+")
    return f"**{cell}**" if low > 0.0 or high < 0.0 else cell


def _cell(interval: tuple[float, float, float], sign: str = "") -> str:
    middle, low, high = interval
    return f"{middle:{sign}.0f} [{low:{sign}.0f}, {high:{sign}.0f}]"


def plot(studies: Sequence[tuple[Study, Mapping[str, Curves]]], file: Path) -> None:
    """Draw the interquartile mean of every arm over its steps, with the interval as a band."""
    columns = min(len(studies), 3)
    rows = -(-len(studies) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(5.2 * columns, 3.8 * rows), squeeze=False, layout="constrained")
    for ax in axes.flat[len(studies) :]:
        ax.remove()
    for ax, (study, curves) in zip(axes.flat, studies, strict=False):
        for number, (name, curve) in enumerate(curves.items()):
            colour, line = COLOURS[number % len(COLOURS)], LINES[number // len(COLOURS)]
            low, high = stratified_bootstrap(
                [curve.returns], lambda strata: interquartile_mean(strata[0], axis=0), n_resamples=500
            )
            thousands = curve.steps / 1000
            ax.plot(thousands, interquartile_mean(curve.returns, axis=0), line, color=colour, label=name)
            ax.fill_between(thousands, low, high, color=colour, alpha=0.15, linewidth=0)
        if study.solved is not None:
            ax.axhline(study.solved, color="grey", linestyle="--", linewidth=1)
        ax.set(title=study.name, xlabel="thousand environment steps", ylabel="return")
        ax.legend(fontsize="x-small")
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
