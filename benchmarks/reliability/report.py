"""Write ``table.md`` from the results: ours, the peers beside it, and every trial that was lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from benchmarks.reliability import results
from benchmarks.reliability.rows import OURS, PEERS, ROWS, Row

TABLE: Final = Path(__file__).with_name("table.md")
COLUMNS: Final = (OURS, *(name for name, _, _ in PEERS))


def write() -> None:
    """Write the table."""
    TABLE.write_text("\n".join(lines()) + "\n", encoding="utf-8")


def lines() -> list[str]:
    """Make the lines of the page."""
    found = {row.key: results.read(row) for row in ROWS}
    return [
        "<!-- Written by `make reliability`; edit benchmarks/reliability/report.py instead. -->",
        "",
        f"| fault | passes when | {' | '.join(COLUMNS)} |",
        f"|---|---|{'--:|' * len(COLUMNS)}",
        *(_line(row, found[row.key]) for row in ROWS),
        "",
        _summary(found),
        "",
        *_details(found),
    ]


def _line(row: Row, columns: dict[str, dict[str, Any]]) -> str:
    cells = [_cell(columns.get(name)) for name in COLUMNS]
    return f"| {row.fault} | {row.passes} | {' | '.join(cells)} |"


def _cell(column: dict[str, Any] | None) -> str:
    if column is None:
        return "-"
    lost = f"**{column['lost']:,} lost**" if column["lost"] else "0 lost"
    return f"{lost} of {column['trials']:,}"


def _summary(found: dict[str, dict[str, dict[str, Any]]]) -> str:
    ours = [columns[OURS] for columns in found.values() if OURS in columns]
    if not ours:
        return "Nothing was counted yet."
    trials, lost = sum(column["trials"] for column in ours), sum(column["lost"] for column in ours)
    dates = sorted({column["date"] for column in ours})
    commits = sorted({column["commit"] for column in ours})
    machines = [column["machine"] for column in ours]
    places = dict.fromkeys(f"{m['cores']} cores of {m['processor'] or 'a processor'}, {m['system']}" for m in machines)
    others = dict.fromkeys(f"{m['filesystem']}, Python {m['python']}: {_versions(m)}" for m in machines)
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return (
        f"{trials:,} trials of Velora, {lost:,} lost, counted {when} at {', '.join(commits)}, on "
        f"{'; '.join(places)}; {'; '.join(others)}."
    )


def _versions(machine: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in machine["versions"]["ours"].items())


def _details(found: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    text = []
    for row in ROWS:
        columns = found[row.key]
        if not columns:
            continue
        text += [f"### {row.key}", ""]
        for name in COLUMNS:
            if name in columns:
                text.append(_outcomes(name, columns[name]))
        if row.least > columns.get(OURS, {"trials": row.least})["trials"]:
            text.append(f"- fewer than the {row.least:,} that were asked for")
        text += [f"- not tried: {note}" for note in columns.get(OURS, {}).get("notes", ())]
        text.append("")
    return text


def _outcomes(name: str, column: dict[str, Any]) -> str:
    counts = "; ".join(f"{count:,} {outcome}" for outcome, count in column["outcomes"].items())
    return f"- **{name}**, {column['seconds']:.0f} s: {counts}"
