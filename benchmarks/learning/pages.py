"""What the documentation shows of the studies: their tables and pictures, and the verdicts over all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

from benchmarks.learning.studies import Arm, Study
from benchmarks.learning.study_results import LAST, Curves, Floats, read_all
from velora.analysis.statistics import interquartile_mean, stratified_bootstrap
from velora.nn.cells import LIQUID_KINDS

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
LINES = ("-", "--", ":")
NOTE = "<!-- made by python -m benchmarks.learning --report -->"
Found = Sequence[tuple[Study, Mapping[str, Curves]]]
"""Studies with the arms of theirs that have been trained."""


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
        f"## {study.name}",
        "",
        f"{study.env}{shown}; {study.n_steps:,} steps, evaluated every {study.evaluate_steps:,}.",
        "",
        f"![{study.name}: learning curves, and the scores of all seeds](images/{study.slug}.png)",
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
    lines = ["", "After training, without learning any more:", "", *_head(["", *names])]
    for arm, curve in curves.items():
        cells = [_cell(interval(curve.tests[name])) if name in curve.tests else "" for name in names]
        lines.append(_line([arm, *cells]))
    return lines


def _differences(names: Sequence[str], curves: Mapping[str, Curves], reference: str) -> list[str]:
    """Write how much more the arms earn than the reference, seed by seed; bold where the interval excludes zero."""
    other = curves[reference]
    tests = [name for name in names if name in other.tests]
    columns = ["", f"last {LAST} evaluations", "seeds ahead", *tests]
    lines = ["", f"Difference to *{reference}*, seed by seed (interquartile mean):", "", *_head(columns)]
    for arm, curve in curves.items():
        if arm == reference or curve.seeds != other.seeds:
            continue
        gains = curve.final - other.final
        pairs = [(curve.tests.get(name), other.tests[name]) for name in tests]
        cells = [_difference(gains), f"{(gains > 0.0).sum()} of {len(gains)}"]
        cells += ["" if ours is None else _difference(ours - theirs) for ours, theirs in pairs]
        lines.append(_line([arm, *cells]))
    return lines


def _difference(gains: Floats) -> str:
    middle, low, high = interval(gains)
    cell = _cell((middle, low, high), sign="+")
    return f"**{cell}**" if low > 0.0 or high < 0.0 else cell


def _cell(interval: tuple[float, float, float], sign: str = "") -> str:
    middle, low, high = interval
    return f"{middle:{sign}.0f} [{low:{sign}.0f}, {high:{sign}.0f}]"


def _head(columns: Sequence[str]) -> list[str]:
    return [_line(columns), "|" + "---|" * len(columns)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def agents_beside_peers(found: Found) -> str:
    """Judge every agent of ours by the peer's agent of the same name, on the tasks of table 1."""
    return _verdicts(
        (study.name, ours.algorithm_name, curves, ours.name, peer.name)
        for study, curves in found
        if study.table == "1"
        for ours in study.arms
        for peer in study.arms
        if ours.agent is not None and peer.agent is None and ours.algorithm_name == peer.algorithm
    )


def cells_beside_reference(found: Found) -> str:
    """Judge cells by the reference of their study, a GRU, in tables 2 and 3; a cell is told the time by its default."""
    return _verdicts(
        (study.name, cell, curves, arm.name, study.reference)
        for study, curves in found
        if study.table in ("2", "3")
        for arm in study.arms
        if (cell := column(arm)) and cell != "gru"
    )


def column(arm: Arm) -> str:
    """Name an arm's cell, or nothing where it isn't told the time as such a cell should be."""
    if arm.agent is None:
        return ""
    cell = str(arm.settings["cell"])
    way = "gate" if cell in LIQUID_KINDS else "input"
    mixed = ", mixed memory" if arm.settings.get("mixed_memory") else ""
    return f"{cell}{mixed}" if arm.settings.get("time", way) == way else ""


def _verdicts(pairs: Iterable[tuple[str, str, Mapping[str, Curves], str, str]]) -> str:
    """Write win, tie or loss, by whether the interval of the seeds' differences excludes zero; tasks down."""
    rows: dict[str, dict[str, str]] = {}
    for task, column, curves, ours, other in pairs:
        if ours in curves and other in curves:
            _, low, high = gain = interval(curves[ours].final - curves[other].final)
            verdict = "**win**" if low > 0.0 else "**loss**" if high < 0.0 else "tie"
            rows.setdefault(task, {}).setdefault(column, f"{verdict} {_cell(gain, sign='+')}")
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = _head(["task", *columns])
    lines += [_line([task, *(row.get(column, "") for column in columns)]) for task, row in rows.items()]
    return "\n".join(lines)


def plot(study: Study, curves: Mapping[str, Curves], file: Path) -> None:
    """Draw the interquartile mean of every arm over its steps, and beside it the score of every seed.

    The interval is a band on the left and a bar on the right, whose labels are the legend of both.
    """
    height = 1.1 + 0.24 * max(len(curves), 6)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, height), layout="constrained", width_ratios=(5, 4))
    for number, curve in enumerate(curves.values()):
        colour, line = COLOURS[number % len(COLOURS)], LINES[number // len(COLOURS)]
        low, high = stratified_bootstrap(
            [curve.returns], lambda strata: interquartile_mean(strata[0], axis=0), n_resamples=500
        )
        thousands = curve.steps / 1000
        left.plot(thousands, interquartile_mean(curve.returns, axis=0), line, color=colour)
        left.fill_between(thousands, low, high, color=colour, alpha=0.12, linewidth=0)
        middle, *ends = interval(curve.final)
        right.plot(curve.final, np.full(len(curve.final), number), "o", color=colour, alpha=0.35, markersize=4)
        right.plot(ends, [number, number], line, color=colour, linewidth=2)
        right.plot(middle, number, "|", color=colour, markersize=11, markeredgewidth=3)
    if study.solved is not None:
        left.axhline(study.solved, color="grey", linestyle="--", linewidth=1)
        right.axvline(study.solved, color="grey", linestyle="--", linewidth=1)
    left.set(title=study.name, xlabel="thousand environment steps", ylabel="return")
    right.set(title=f"last {LAST} evaluations", xlabel="return", yticks=range(len(curves)), yticklabels=list(curves))
    right.locator_params(axis="x", nbins=5)
    right.invert_yaxis()
    figure.savefig(file, dpi=110)
    plt.close(figure)


def publish(results: Path, studies: Sequence[Study], pages: Path) -> str:
    """Write every table, its pictures and the verdicts from the raw evaluations; return the text of all."""
    found = [(study, curves) for study in studies if (curves := read_all(results, study))]
    (pages / "images").mkdir(parents=True, exist_ok=True)
    for study, curves in found:
        plot(study, curves, pages / "images" / f"{study.slug}.png")
    files = texts(found)
    for name, text in files.items():
        (pages / name).write_text(text)
    return "\n".join(files.values())


def texts(found: Found) -> dict[str, str]:
    """Return the text of each file that :func:`publish` writes, by the file's name."""
    tables = {
        f"table{table}.md": "\n\n".join(section(study, curves) for study, curves in found if study.table == table)
        for table in sorted({study.table for study, _ in found})
    }
    tables |= {"table-agents.md": agents_beside_peers(found), "table-cells.md": cells_beside_reference(found)}
    return {name: f"{NOTE}\n\n{text}\n" for name, text in tables.items()}
