"""The table of ``benchmarks.distill``, from the returns that are kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from velora.analysis.aggregates import estimate_iqm

TABLE = Path(__file__).parent / "table.md"


def write(results: Path, names: Sequence[str], n_neurons: int) -> str:
    """Write the table into ``table.md`` and return it.

    Each seed's score is its mean over the episodes; the interquartile mean over seeds has a 95 % bootstrap interval.
    """
    teacher = json.loads((results / "teacher.json").read_text())
    reference = float(np.mean(teacher["returns"]))
    episodes = len(teacher["returns"][0])
    lines = [
        "| policy | neurons | steps | return, IQM of 5 seeds (95 %) | of the teacher's |",
        "|---|---|---|---|---|",
        f"| teacher, TD3 of 256x256 | 512 | | {reference:.0f}, mean of {episodes} episodes | 100 % |",
    ]
    for name in names:
        kept = [json.loads(path.read_text()) for path in results.glob(f"{name}, * steps.json")]
        kept = [one for one in kept if one["arm"] == name]
        for one in sorted(kept, key=lambda one: int(one["steps"])):
            if one["teacher"] != teacher["digest"]:
                raise ValueError(f"{results}: {name}: of another teacher than teacher.json; train it again")
            lines.append(_row(name, n_neurons, one, reference))
    table = "\n".join(lines)
    TABLE.write_text(f"{table}\n")
    return table


def file_of(name: str, n_steps: int) -> str:
    """Name the file of an arm's returns."""
    return f"{name}, {n_steps} steps.json"


def _row(name: str, n_neurons: int, kept: dict[str, Any], reference: float) -> str:
    iqm = estimate_iqm([np.mean(kept["returns"], axis=1)])
    value, low, high = (float(one) for one in (iqm.value, iqm.low, iqm.high))
    share = [100.0 * one / reference for one in (value, low, high)]
    return (
        f"| {name} | {n_neurons} | {kept['steps']:,} | {value:.0f} ({low:.0f} to {high:.0f}) | "
        f"{share[0]:.0f} % ({share[1]:.0f} to {share[2]:.0f}) |"
    )
