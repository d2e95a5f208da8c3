"""Turn what was measured into Markdown."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from benchmarks.speed.results import Result
from benchmarks.speed.rows import ROWS
from benchmarks.speed.scale import WORK, limit, limits, peak_gflops
from benchmarks.speed.targets import NATIVE, TARGETS, Target, Verdict, judge, spread

CAPTIONS = {
    "steps_per_s": "steps per second",
    "peak_mb": "peak memory, MB",
    "solved_s": "seconds until solved",
    "steps": "environment steps until then",
    "total_s": "seconds from start to end",
    "compile_s": "seconds of compiling",
    "forward_ms": "forward, ms",
    "both_ms": "forward and backward, ms",
    "step_ms": "a step with everything around it, ms",
    "update_ms": "an update alone, ms",
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
    """List the kernels of ours that were measured."""
    return list(dict.fromkeys(kernel for result in results.values() for kernel in result.names("kernel")))


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
    if target.peer is not None and not ROWS[target.row].by_seed:
        ours = result.values(target.ours.format(kernel=verdict.kernel), target.case, target.metric)
        low, high = spread(ours, result.values(target.peer, target.peer_case, target.metric), target.metric)
        said += f" ({low:.3g} .. {high:.3g})"
    if verdict.kernel != NATIVE:
        said += f" {verdict.kernel}"
    mark = verdict.text if verdict.text in ("", "reached") else f"**{verdict.text}**"
    return f"{said} | {_times(target, verdict.wanted)} | {mark}"


def _times(target: Target, ratio: float | None) -> str:
    if ratio is None:
        return "-"
    return f"{100 * ratio:.0f} %" if target.peer is None else f"{ratio:.3g}x"


def medians(result: Result, metric: str) -> str:
    """Write one number of a row: cases down, contenders across, medians over the rounds."""
    everyone, cases = result.names("contender"), result.names("case")
    contenders = [name for name in everyone if any(result.values(name, case, metric) for case in cases)]
    lines = [f"| {CAPTIONS[metric]} | {' | '.join(contenders)} |", "|---" * (len(contenders) + 1) + "|"]
    for case in cases:
        cells = [number(result.median(contender, case, metric)) for contender in contenders]
        if set(cells) != {"-"}:
            lines.append(f"| {case} | {' | '.join(cells)} |")
    return "\n".join(lines)


def solved(result: Result) -> str:
    """Write every seed of a row whose rounds are seeds."""
    lines, cases = ["| seconds until solved, by seed | |", "|---|---|"], result.names("case")
    for case in cases:
        for contender in result.names("contender"):
            named = contender if len(cases) == 1 else f"{case}: {contender}"
            lines.append(f"| {named} | {' '.join(map(number, result.values(contender, case, 'solved_s')))} |")
    return "\n".join(lines)


def arithmetic(result: Result) -> str:
    """Write what row 4 compares with."""
    lines = ["| arithmetic of an update | at the speed of a large matrix product, ms |", "|---|---|"]
    return "\n".join(lines + [f"| {case} | {number(limit)} |" for case, limit in limits(result).items()])


def beside_the_limit(result: Result, metric: str) -> str | None:
    """Write a number of a row beside what arithmetic alone would come to; ``None`` where no limit is known."""
    lines = []
    for case in result.names("case"):
        for contender in result.names("contender"):
            reached, best = result.median(contender, case, metric), limit(result, contender, case, metric)
            if reached is not None and best is not None:
                share = reached / best if metric == "steps_per_s" else best / reached
                work = result.median(contender, case, WORK[metric])
                cells = (contender, case, number(work), number(best), number(reached), f"{100 * share:.0f} %")
                lines.append(f"| {' | '.join(cells)} |")
    if not lines:
        return None
    head = f"| {CAPTIONS[metric]} | | MFLOP | limit at {peak_gflops(result):.0f} GFLOP/s a core | reached | of it |"
    return "\n".join([head, "|---|---|---|---|---|---|", *lines])


def failures(result: Result) -> list[str]:
    """Say what could not be measured, each once."""
    failed = (f"- {m['contender']}, {m['case']}: {m['failed']}" for m in result.measurements if "failed" in m)
    return list(dict.fromkeys(failed))


def company(result: Result) -> str:
    """Say how much of its core a process had on average: on a machine that does something else, less than all."""
    had = sorted(m["cores_had"] / m["threads"] for m in result.measurements if "cores_had" in m)
    return (
        f" Share of its cores that a process had: median {statistics.median(had):.2f}, least {had[0]:.2f}."
        if had
        else ""
    )


def section(result: Result) -> str:
    """Write a row: its numbers, and where they were made."""
    head = result.head
    row = ROWS[head["row"]]
    rounds = 1 + max(m["round"] for m in result.measurements)
    tables = [medians(result, metric) for metric in row.metrics]
    tables += [table for metric in row.metrics if (table := beside_the_limit(result, metric))]
    if row.by_seed:
        tables.insert(0, solved(result))
    if row.number == 4:
        tables.append(arithmetic(result))
    versions = "; ".join(
        f"{who}: " + ", ".join(f"{name} {version}" for name, version in known.items())
        for who, known in head["versions"].items()
        if known
    )
    made = f"{head['date']}, {head['machine']}, commit {head['commit']}, {rounds} interleaved round{'s' * (rounds > 1)}"
    where = f"{made}, `{head['command']}`. Versions: {versions}."
    where += company(result)
    return "\n\n".join([f"## {row.number}. {row.title}", *tables, *failures(result), where])


def document(results: Mapping[int, Result]) -> str:
    """Write everything."""
    sections: Sequence[str] = [section(results[row]) for row in sorted(results)]
    return "\n\n".join(["# Speed beside the peers", verdicts(results), *sections]) + "\n"
