"""What was counted, when and where: a JSON file for each launcher, and the table that is made from them."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.reliability.results import commit as commit_now
from benchmarks.reliability.results import machine
from benchmarks.sweeps.campaign import EVERYTHING, PARENT, WORKER, Trial
from benchmarks.sweeps.subject import LAUNCHERS, N_JOBS

DIRECTORY: Final = Path(__file__).with_name("results")
TABLE: Final = Path(__file__).with_name("table.md")


def write(trial: Trial, *, seed: int) -> None:
    """Write what a trial found."""
    DIRECTORY.mkdir(exist_ok=True)
    head = {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit_now(DIRECTORY, TABLE),
        "machine": machine(),
        "seed": seed,
    }
    text = json.dumps({**head, **trial.document()}, indent=1, ensure_ascii=False)
    (DIRECTORY / f"{trial.launcher}.json").write_text(f"{text}\n", encoding="utf-8")


def write_table() -> None:
    """Write the table from the results that are there."""
    TABLE.write_text("\n".join(lines()) + "\n", encoding="utf-8")


def lines() -> list[str]:
    """Make the lines of the table."""
    paths = [DIRECTORY / f"{name}.json" for name in LAUNCHERS]
    found = [json.loads(path.read_text("utf-8")) for path in paths if path.exists()]
    return [
        "<!-- Written by `make sweeps`; edit benchmarks/sweeps/results.py instead. -->",
        "",
        "| launcher | killed by SIGKILL | the sweep was at | jobs cut short | once went on by | the same at the end |",
        "|---|---|---|--:|---|---|",
        *map(_row, found),
        "",
        *sorted({_where(one) for one in found}),
    ]


def _row(one: dict[str, Any]) -> str:
    kinds = Counter(strike["kind"] for strike in one["strikes"])
    killed = ", ".join(f"{kinds[kind]} x {kind}" for kind in (EVERYTHING, PARENT, WORKER) if kinds[kind])
    moments = ", ".join(f"{strike['fraction']:.0%}" for strike in one["strikes"])
    cut = sum(strike["jobs"].get("dead", 0) for strike in one["strikes"])
    elsewhere = {s["resumed_by"] for s in one["strikes"]} - {one["launcher"]}
    table = "the table, " if "table.csv" not in one["different"] else ""
    same = f"{table}{one['equal']} of {N_JOBS} jobs, {one['rows']:,} metric rows"
    other = ", ".join(f"`{name}`" for name in sorted(elsewhere))
    return f"| `{one['launcher']}` | {killed} | {moments} | {cut} | {other} | {same} |"


def _where(one: dict[str, Any]) -> str:
    at = one["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in at["versions"].get("ours", {}).items())
    return (
        f"Counted {one['date']} at {one['commit']} on {at['cores']} cores of {at['processor']}, {at['system']}, "
        f"Python {at['python']}: {versions}."
    )
