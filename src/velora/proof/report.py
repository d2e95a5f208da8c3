"""A proof as text: the table of its targets."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any, Final

from velora.analysis.rows import Rows
from velora.analysis.table import as_lines
from velora.proof.results import Distance, Proof, TargetResult

COLUMNS: Final = (
    *("target", "flash B", "RAM B", "stack B", "a step", "self-test"),
    *("to float64", "state", "to predict", "bits", "played", "earns", "off predict", "steps/s"),
)
"""Columns of the table; :data:`MEANINGS` explains them."""
NUMBERS: Final = frozenset(COLUMNS) - {"target", "self-test", "bits"}
SPARE: Final = ("steps/s", "played", "self-test", "state", "off predict", "to predict", "stack B", "RAM B")
"""Columns that a narrow terminal does without."""
MEANINGS: Final = """\
flash, RAM: of the whole firmware, RAM without the stack; stack: the deepest of a step; a step: instructions, of avr
cycles. Open loop: largest distance of an action to the float64 replay, of the state to it, and of an action to predict;
bits: the same as on the first target in every action and state. Closed loop: episodes played, the mean of what they
earn, and how far an episode's return is from that of predict, in the median."""


def rows(proof: Proof) -> list[dict[str, Any]]:
    """Write a row for each target, a text for each of :data:`COLUMNS`."""
    return [_row(one, proof) for one in proof.targets]


def table(proof: Proof, *, width: int | None = None) -> str:
    """Write the table and what belongs to it for a terminal.

    Args:
        width: the letters that a line may have; ``None`` for as many as it takes.
    """
    lines = [*heading(proof), "", *as_lines(Rows(rows(proof)), COLUMNS, width=width, spare=SPARE, numbers=NUMBERS)]
    lines += [f"{one.name}: {one.failure}" for one in proof.targets if one.failure]
    lines += ["", MEANINGS]
    if proof.left_out:
        lines += [f"left out: {', '.join(proof.left_out)}; their tools come with: {proof.install}"]
    return "\n".join([*lines, *proof.failures, f"{proof.seconds:.1f} s"]) + "\n"


def heading(proof: Proof) -> list[str]:
    """Write what was proved, and what ``predict`` does."""
    own, unit = proof.predict, "" if proof.action_range is None else f" of a range of {proof.action_range:g}"
    far = f"{own.action:.0f} other actions" if proof.action_range is None else f"{own.action:.1e}{unit}"
    away = f"{far} away from float64, state {own.state:.1e}"
    return [
        f"policy   {proof.agent}, {proof.cell}, {proof.dtype}, checkpoint {proof.digest[:12]}",
        f"open     {proof.n_steps:,} steps of {proof.environment}; predict is {away}",
        f"closed   {_episodes(proof)}",
    ]


def _episodes(proof: Proof) -> str:
    if not proof.returns:
        return "no episodes"
    of = "1 episode" if len(proof.returns) == 1 else f"{len(proof.returns)} episodes"
    return f"{of}; predict earns {statistics.fmean(proof.returns):.3f}"


def _row(one: TargetResult, proof: Proof) -> dict[str, Any]:
    if one.failure:
        return {"target": one.name, "bits": one.failure.partition(":")[0]}
    step = f"{one.per_step:,.0f}" if one.unit else ""
    if one.ms_per_step is not None:
        step += f" = {one.ms_per_step:.1f} ms"
    return {
        "target": one.name,
        "flash B": _bytes(one.flash_bytes),
        "RAM B": _bytes(one.ram_bytes),
        "stack B": _bytes(one.stack_bytes),
        "a step": step,
        "self-test": "" if one.selftest is None else "ok" if one.selftest == 0 else f"failed ({one.selftest})",
        "to float64": _action(one.against_float64, proof),
        "state": _state(one.against_float64),
        "to predict": _action(one.against_predict, proof),
        "bits": _bits(one),
        "played": str(len(one.returns)),
        "earns": f"{statistics.fmean(one.returns):.3f}" if one.returns else "",
        "off predict": _off(one.returns, proof.returns),
        "steps/s": f"{one.steps_per_s:,.0f}" if one.steps_per_s else "",
    }


def _bytes(number: int) -> str:
    return f"{number:,}" if number else ""


def _action(distance: Distance | None, proof: Proof) -> str:
    if distance is None:
        return ""
    return f"{distance.action:.0f} others" if proof.action_range is None else f"{distance.action:.1e}"


def _state(distance: Distance | None) -> str:
    return "" if distance is None else f"{distance.state:.1e}"


def _bits(one: TargetResult) -> str:
    if one.same_bits is None:
        return "reference"
    return "same" if one.same_bits else f"from step {one.differs_at}"


def _off(returns: Sequence[float], own: Sequence[float]) -> str:
    """Write the median over episodes of how far a return is from that of ``predict``."""
    if not returns:
        return ""
    return f"{statistics.median(abs(one - other) for one, other in zip(returns, own, strict=False)):.2g}"
