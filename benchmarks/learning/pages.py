"""The tables and pictures of the studies in the documentation, and the verdicts over all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

from benchmarks.learning.comparisons import Comparison, Found, Interval, compare, interval
from benchmarks.learning.studies import Arm, Study
from benchmarks.learning.study_results import LAST, Curves, Floats, read_all
from velora.analysis.statistics import interquartile_mean
from velora.nn.cells import LIQUID_KINDS

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
LINES = ("-", "--", ":")
NOTE = "<!-- made by python -m benchmarks.learning --report -->"
STANDS = "†"
"""Mark of a verdict that stands after Holm's correction."""


def section(study: Study, curves: Mapping[str, Curves], comparisons: Sequence[Comparison]) -> str:
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
        lines += _differences(names, curves, [one for one in comparisons if one.study == study.name])
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


def _differences(names: Sequence[str], curves: Mapping[str, Curves], comparisons: Sequence[Comparison]) -> list[str]:
    """Write how much more the arms earn than the reference, seed by seed; bold where the interval excludes zero."""
    reference = comparisons[0].other
    other = curves[reference]
    tests = [name for name in names if name in other.tests]
    columns = ["", f"last {LAST} evaluations", "p", "seeds ahead", *tests]
    lines = ["", f"Difference to *{reference}*, seed by seed (interquartile mean):", "", *_head(columns)]
    for one in comparisons:
        pairs = [(curves[one.arm].tests.get(name), other.tests[name]) for name in tests]
        ahead = f"{(one.gains > 0.0).sum()} of {len(one.gains)}"
        cells = [_difference(one.gains), f"{one.p_value:.4f}{_mark(one)}", ahead]
        cells += ["" if ours is None else _difference(ours - theirs) for ours, theirs in pairs]
        lines.append(_line([one.arm, *cells]))
    return lines


def _difference(gains: Floats) -> str:
    middle, low, high = interval(gains)
    cell = _cell((middle, low, high), sign="+")
    return f"**{cell}**" if low > 0.0 or high < 0.0 else cell


def _mark(comparison: Comparison) -> str:
    return f" {STANDS}" if comparison.stands else ""


def _cell(found: Interval, sign: str = "") -> str:
    middle, low, high = found
    return f"{middle:{sign}.0f} [{low:{sign}.0f}, {high:{sign}.0f}]"


def _head(columns: Sequence[str]) -> list[str]:
    return [_line(columns), "|" + "---|" * len(columns)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def agents_beside_peers(found: Found, comparisons: Sequence[Comparison]) -> str:
    """Judge every agent of ours by the peer's agent of the same name, on the tasks of table 1."""
    names = {(study.name, arm.name): arm.algorithm_name for study, _ in found for arm in study.arms}
    tasks = {study.name for study, _ in found if study.table == "1"}
    shown = [(names[one.study, one.arm], one) for one in comparisons if one.study in tasks]
    return _verdicts(shown, len(comparisons))


def cells_beside_reference(found: Found, comparisons: Sequence[Comparison]) -> str:
    """Judge cells by the reference of their study, a GRU, in tables 2 and 3; a cell is told the time by its default."""
    names = {
        (study.name, arm.name): cell
        for study, _ in found
        if study.table in ("2", "3")
        for arm in study.arms
        if (cell := column(arm)) and cell != "gru"
    }
    shown = [(names[key], one) for one in comparisons if (key := (one.study, one.arm)) in names]
    return _verdicts(shown, len(comparisons))


def column(arm: Arm) -> str:
    """Name an arm's cell; nothing where it isn't told the time as such a cell should be, or its critic sees more."""
    if arm.agent is None or "privileged" in arm.name:
        return ""
    cell = str(arm.settings["cell"])
    way = "gate" if cell in LIQUID_KINDS else "input"
    mixed = ", mixed memory" if arm.settings.get("mixed_memory") else ""
    return f"{cell}{mixed}" if arm.settings.get("time", way) == way else ""


def _verdicts(shown: Iterable[tuple[str, Comparison]], n_comparisons: int) -> str:
    """Write win, tie or loss, tasks down, and how many stand after Holm's correction over all comparisons."""
    rows: dict[str, dict[str, Comparison]] = {}
    for column, one in shown:
        rows.setdefault(one.study, {}).setdefault(column, one)
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = _head(["task", *columns])
    for task, row in rows.items():
        lines.append(_line([task, *(_verdict(row[column]) if column in row else "" for column in columns)]))
    judged = [one for row in rows.values() for one in row.values()]
    standing = sum(one.stands for one in judged)
    mark = f" ({STANDS})" if standing else ""
    after = f"After Holm's correction over all {n_comparisons} comparisons of these pages"
    lines += ["", f"{after}, {standing or 'none'} of these {len(judged)} verdicts {_stand(standing)}{mark}."]
    return "\n".join(lines)


def _verdict(one: Comparison) -> str:
    verdict = "tie" if one.verdict == "tie" else f"**{one.verdict}**"
    return f"{verdict}{_mark(one)} {_cell(interval(one.gains), sign='+')}"


def _stand(standing: int) -> str:
    return "stands" if standing < 2 else "stand"


def plot(study: Study, curves: Mapping[str, Curves], file: Path) -> None:
    """Draw the interquartile mean of every arm over its steps, and beside it the score of every seed.

    The interval is a band on the left and a bar on the right, whose labels are the legend of both. A panel on the left
    has at most as many curves as there are colours; further arms have panels below, and another line.
    """
    n_panels = -(-len(curves) // len(COLOURS))
    most = -(-len(curves) // n_panels)
    height = max(1.1 + 0.24 * max(len(curves), 6), 2.4 * n_panels)
    figure = plt.figure(figsize=(9.6, height), layout="constrained")
    grid = figure.add_gridspec(n_panels, 2, width_ratios=(5, 4))
    panels = [figure.add_subplot(grid[0, 0])]
    panels += [figure.add_subplot(grid[k, 0], sharex=panels[0], sharey=panels[0]) for k in range(1, n_panels)]
    right = figure.add_subplot(grid[:, 1])
    for number, curve in enumerate(curves.values()):
        colour, line, left = COLOURS[number % most], LINES[number // most], panels[number // most]
        low, high = np.array([interval(scores)[1:] for scores in curve.returns.T]).T
        thousands = curve.steps / 1000
        left.plot(thousands, interquartile_mean(curve.returns, axis=0), line, color=colour)
        left.fill_between(thousands, low, high, color=colour, alpha=0.12, linewidth=0)
        middle, *ends = interval(curve.final)
        right.plot(curve.final, np.full(len(curve.final), number), "o", color=colour, alpha=0.35, markersize=4)
        right.plot(ends, [number, number], line, color=colour, linewidth=2)
        right.plot(middle, number, "|", color=colour, markersize=11, markeredgewidth=3)
    if study.solved is not None:
        for left in panels:
            left.axhline(study.solved, color="grey", linestyle="--", linewidth=1)
        right.axvline(study.solved, color="grey", linestyle="--", linewidth=1)
    panels[0].set(title=study.name)
    panels[-1].set(xlabel="thousand environment steps")
    for left in panels:
        left.set(ylabel="return")
        left.label_outer()
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
    comparisons = compare(found)
    tables = {
        f"table{table}.md": "\n\n".join(
            section(study, curves, comparisons) for study, curves in found if study.table == table
        )
        for table in sorted({study.table for study, _ in found})
    }
    verdicts = {"table-agents.md": agents_beside_peers, "table-cells.md": cells_beside_reference}
    tables |= {name: write(found, comparisons) for name, write in verdicts.items()}
    return {name: f"{NOTE}\n\n{text}\n" for name, text in tables.items()}
