"""Turn what was measured into Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from benchmarks.speed.results import Result
from benchmarks.speed.rows import ROWS
from benchmarks.speed.targets import NATIVE, TARGETS, Target, Verdict, judge, spread

CAPTIONS = {
    "steps_per_s": "steps per second",
    "peak_mb": "peak memory, MB",
    "solved_s": "seconds until solved",
    "steps": "environment steps until then",
    "forward_ms": "forward, ms",
    "both_ms": "forward and backward, ms",
    "step_ms": "a step with everything around it, ms",
    "update_ms": "an update alone, ms",
    "limit_ms": "the arithmetic of an update at the speed of a large matrix product, ms",
    "save_ms": "save without buffer, ms",
    "load_ms": "load without buffer, ms",
    "buffer_save_ms": "save with a full buffer, ms",
    "buffer_load_ms": "load with a full buffer, ms",
}


def number(value: float | None) -> str:
    """Write three digits, and thousands whole."""
    if value is None:
        return "-"
    if math.isinf(value):
        return "never"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def kernels(results: Mapping[int, Result]) -> list[str]:
    """List the kernels that were measured: the last word of the names of our contenders."""
    ours = (
        m["contender"].split(", ")[-1] for result in results.values() for m in result.measurements if is_ours(m["contender"])
    )
    return list(dict.fromkeys(ours))


def is_ours(contender: str) -> bool:
    """Tell our contenders from the peers: theirs are names, ours end with a kernel."""
    return contender.split(", ")[-1] in KERNELS


KERNELS = ("native", "numpy", "torch", "auto")


def verdicts(results: Mapping[int, Result]) -> str:
    """Write the table of promises."""
    lines = [
        "| | native kernel | wanted | | without a compiler | wanted | |",
        "|---|---|---|---|---|---|---|",
    ]
    for target in TARGETS:
        if target.row in results:
            result = results[target.row]
            native, other = judge(target, result, kernels(results))
            lines.append(f"| {target.what} | {_cells(target, native, result)} | {_cells(target, other, result)} |")
    return "\n".join(lines)


def _cells(target: Target, verdict: Verdict, result: Result) -> str:
    if verdict.ratio is None:
        return f"- | {_times(target, verdict.wanted)} | {verdict.text}"
    said = _times(target, verdict.ratio)
    if target.peer is not None and target.row != 2:  # the rounds of row 2 are seeds, and luck
        ours = result.values(target.ours.format(kernel=verdict.kernel), target.case, target.metric)
        low, high = spread(ours, result.values(target.peer, target.peer_case, target.metric), target.metric)
        said += f" ({low:.3g} .. {high:.3g})"
    if verdict.kernel != NATIVE:
        said += f" {verdict.kernel}"
    mark = verdict.text if verdict.text == "reached" else f"**{verdict.text}**"
    return f"{said} | {_times(target, verdict.wanted)} | {mark}"


def _times(target: Target, ratio: float) -> str:
    return f"{100 * ratio:.0f} %" if target.peer is None else f"{ratio:.3g}x"


def medians(result: Result, metric: str) -> str:
    """Write one number of a row: cases down, contenders across, medians over the rounds."""
    contenders = [c for c in result.names("contender") if any(result.values(c, k, metric) for k in result.names("case"))]
    lines = [f"| {CAPTIONS[metric]} | {' | '.join(contenders)} |", "|---" * (len(contenders) + 1) + "|"]
    for case in result.names("case"):
        cells = [number(result.median(contender, case, metric)) for contender in contenders]
        if set(cells) != {"-"}:
            lines.append(f"| {case} | {' | '.join(cells)} |")
    return "\n".join(lines)


def solved(result: Result) -> str:
    """Write every seed of row 2."""
    lines = ["| seconds until solved, by seed | |", "|---|---|"]
    for contender in result.names("contender"):
        values = [v for case in result.names("case") for v in result.values(contender, case, "solved_s")]
        lines.append(f"| {contender} | {' '.join(number(v) for v in values)} |")
    return "\n".join(lines)


def failures(result: Result) -> list[str]:
    """Say what could not be measured, each once."""
    failed = (f"- {m['contender']}, {m['case']}: {m['failed']}" for m in result.measurements if "failed" in m)
    return list(dict.fromkeys(failed))


def section(result: Result) -> str:
    """Write a row: its numbers, and where they were made."""
    head = result.head
    row = ROWS[head["row"]]
    rounds = 1 + max(m["round"] for m in result.measurements)
    tables = [medians(result, metric) for metric in row.metrics]
    if row.number == 2:
        tables.insert(0, solved(result))
    versions = "; ".join(
        f"{who}: " + ", ".join(f"{name} {version}" for name, version in known.items())
        for who, known in head["versions"].items()
        if known
    )
    where = (
        f"{head['date']}, {head['machine']}, commit {head['commit']}, {rounds} interleaved rounds, `{head['command']}`. "
        f"Versions: {versions}."
    )
    return "\n\n".join([f"## {row.number}. {row.title}", *tables, *failures(result), where])


def document(results: Mapping[int, Result]) -> str:
    """Write everything."""
    sections: Sequence[str] = [section(results[row]) for row in sorted(results)]
    return "\n\n".join(["# Speed beside the peers", verdicts(results), *sections]) + "\n"
