"""The table of ``benchmarks.distill``, from the returns that are kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

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
        f"| teacher, TD3 of 256x256 | 512 | | {reference:.0f} (mean of {episodes} episodes) | 100 % |",
    ]
    for name in names:
        path = results / f"{name}.json"
        if not path.exists():
            continue
        kept = json.loads(path.read_text())
        if kept["teacher"] != teacher["digest"]:
            raise ValueError(f"{path}: of another teacher than {results}/teacher.json; train it again")
        iqm = estimate_iqm([np.mean(kept["returns"], axis=1)])
        share = [100.0 * float(value) / reference for value in (iqm.value, iqm.low, iqm.high)]
        lines.append(
            f"| {name} | {n_neurons} | {kept['steps']:,} | {float(iqm.value):.0f} ({float(iqm.low):.0f} to "
            f"{float(iqm.high):.0f}) | {share[0]:.0f} % ({share[1]:.0f} to {share[2]:.0f}) |"
        )
    table = "\n".join(lines)
    TABLE.write_text(f"{table}\n")
    return table
