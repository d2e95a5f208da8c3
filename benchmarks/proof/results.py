"""What was proved, when and where: a JSON file for each policy, and the tables that are made from them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.reliability.results import commit as commit_now
from benchmarks.reliability.results import machine

DIRECTORY: Final = Path(__file__).with_name("results")
TABLES: Final = Path(__file__).parents[2] / "docs/deploy/table-proof.md"
Found = dict[str, Any]
COUNTED: Final = ("cortex-m0", "cortex-m3", "cortex-m4", "riscv", "riscv-f")
"""Targets whose instructions are shown."""
SIZES: Final = ("agent", "numbers", "flash M0+", "flash M4F", "flash AVR", "AVR", "stack M0+", "stack AVR")
"""The other columns of the second table; the instructions stand after the fourth."""


def write(done: Iterable[Found], directory: Path, *, seconds: float) -> None:
    """Write what was found of each policy, and how long all of it took."""
    directory.mkdir(parents=True, exist_ok=True)
    head = {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit_now(DIRECTORY, TABLES),
        "machine": machine(),
        "all_of_it_s": round(seconds, 1),
    }
    for one in done:
        text = json.dumps({**head, **one}, indent=1, ensure_ascii=False)
        (directory / f"{one['name']}-{one['dtype']}.json").write_text(f"{text}\n", encoding="utf-8")


def write_tables() -> None:
    """Write the tables from the results that are there."""
    found = [json.loads(path.read_text("utf-8")) for path in sorted(DIRECTORY.glob("*.json"))]
    TABLES.write_text("\n".join(lines(found)) + "\n", encoding="utf-8")


def lines(found: Sequence[Found]) -> list[str]:
    """Make the lines of both tables."""
    proved = [one for one in found if "targets" in one]
    refused = [f"- {one['name']}, {one['dtype']}: not exported. {one['refused']}" for one in found if "refused" in one]
    return [
        "<!-- Written by `make proof`; edit benchmarks/proof/results.py instead. -->",
        "",
        "| agent | numbers | to float64 | predict's own | same bits on | predict earns | the chips earn | apart |",
        "|---|---|--:|--:|---|--:|--:|--:|",
        *map(_right, proved),
        "",
        f"| {' | '.join((*SIZES[:4], *COUNTED, *SIZES[4:]))} |",
        f"|---|---|{'--:|' * (len(SIZES) - 2 + len(COUNTED))}",
        *map(_large, proved),
        "",
        *refused,
        *([""] if refused else []),
        *sorted({_where(one) for one in found}),
    ]


def _right(one: Found) -> str:
    """Write a row of the table of errors and returns."""
    targets = [row for row in one["targets"] if not row["failure"]]
    same = sum(row["same_bits"] is not False for row in targets)
    unit = " others" if one["action_range"] is None else ""
    largest = max(row["against_float64"]["action"] for row in targets)
    steered = max(targets, key=lambda row: len(row["returns"]))
    returns, own = steered["returns"], one["returns"]
    apart = statistics.median(abs(a - b) for a, b in zip(returns, own, strict=False)) if returns else 0.0
    cells = [
        one["name"],
        one["dtype"],
        f"{_error(largest, one)}{unit}",
        f"{_error(one['predict']['action'], one)}{unit}",
        f"{same} of {len(targets)}"
        + "".join(f", {row['name']} is too small" for row in one["targets"] if row["failure"]),
        f"{statistics.fmean(own):.3f}" if own else "",
        f"{statistics.fmean(returns):.3f}" if returns else "",
        f"{apart:.2g}",
    ]
    return f"| {' | '.join(cells)} |"


def _error(value: float, one: Found) -> str:
    return f"{value:.0f}" if one["action_range"] is None else f"{value:.1e}"


def _large(one: Found) -> str:
    """Write a row of the table of sizes and instructions."""
    by_name = {row["name"]: row for row in one["targets"] if not row["failure"]}

    def number(target: str, key: str, form: str = "{:,.0f}") -> str:
        value = by_name.get(target, {}).get(key)
        return form.format(value) if value else "-"

    cells = [
        one["name"],
        one["dtype"],
        number("cortex-m0", "flash_bytes"),
        number("cortex-m4", "flash_bytes"),
        *(number(name, "per_step") for name in COUNTED),
        number("avr", "flash_bytes"),
        number("avr", "ms_per_step", "{:.1f} ms"),
        number("cortex-m0", "stack_bytes"),
        number("avr", "stack_bytes"),
    ]
    return f"| {' | '.join(cells)} |"


def _where(one: Found) -> str:
    at = one["machine"]
    return (
        f"Measured {one['date']} at {one['commit']} on {at['cores']} cores of {at['processor']}, {at['system']}; "
        f"all of it in {one['all_of_it_s']:.0f} s."
    )
