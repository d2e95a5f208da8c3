"""Draw row 1 as bars and row 4 as curves."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.speed.plan import INVERTED, case
from benchmarks.speed.results import Result
from benchmarks.speed.scale import AXES, limits, points

OURS, THEIRS = "#0072B2", "#999999"
COLOURS = ("#0072B2", "#D55E00", "#009E73")


def bars(result: Result, path: Path) -> None:
    """Draw the steps per second of everyone on InvertedPendulum, with 20 neurons where that means something."""
    found = []
    for contender in result.names("contender"):
        rate = result.median(contender, case(INVERTED, 20), "steps_per_s")
        rate = result.median(contender, INVERTED, "steps_per_s") if rate is None else rate
        if rate is not None:
            found.append((rate, contender))
    found.sort()
    figure, ax = plt.subplots(figsize=(8, 0.42 * len(found) + 1.2), layout="constrained")
    names = [name for _, name in found]
    drawn = ax.barh(names, [r for r, _ in found], color=[OURS if result.is_ours(name) else THEIRS for name in names])
    ax.bar_label(drawn, [f"{rate:,.0f}" for rate, _ in found], padding=3, fontsize="small")
    ax.set(xscale="log", xlabel="environment steps, each with one update of 128 samples, per second (log scale)")
    ax.set_title(f"{INVERTED}, 20 neurons; peers [64, 64]; one core, ten seeds on two")
    ax.margins(x=0.12)
    ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def curves(result: Result, path: Path) -> None:
    """Draw the cost of a step and of an update against S, n and T, and the machine's limit below."""
    figure, axes = plt.subplots(1, len(AXES), figsize=(4.4 * len(AXES), 4.0), sharey=True, layout="constrained")
    for ax, letter in zip(axes, AXES, strict=True):
        _curve(ax, result, letter)
    axes[0].set_ylabel("ms")
    figure.legend(*axes[-1].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize="small")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _curve(ax: Axes, result: Result, letter: str) -> None:
    cases = points(result, letter)
    for colour, kernel in zip(COLOURS, result.names("kernel"), strict=False):
        for metric, name, style in (("step_ms", "step", "-o"), ("update_ms", "update alone", "--o")):
            known = {x: result.median(kernel, c, metric) for x, c in cases.items()}
            drawn = {x: y for x, y in known.items() if y is not None}
            ax.plot([*drawn], [*drawn.values()], style, color=colour, markersize=3.5, label=f"{kernel}: {name}")
    limit = {x: ms for x, c in cases.items() if (ms := limits(result).get(c)) is not None}
    label = "arithmetic of the update at the speed of a large product"
    ax.plot([*limit], [*limit.values()], ":", color="black", label=label)
    ax.set(xscale="log", yscale="log", xlabel=AXES[letter], xticks=[*cases], xticklabels=[str(x) for x in cases])
    ax.minorticks_off()
    ax.grid(alpha=0.3)
