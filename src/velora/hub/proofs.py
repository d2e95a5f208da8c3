"""The table of a proof, from what ``velora prove json=proof.json`` wrote, for a model card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from velora.analysis.rows import Rows
from velora.analysis.table import as_markdown
from velora.checkpoint.files import read_small
from velora.core.errors import HubError, VeloraError

NAME: Final = "proof.json"
_MOST_BYTES: Final = 4 << 20
_COLUMNS: Final = ("target", "flash B", "RAM B", "stack B", "a step", "error", "bits", "mean return")


def read_proof(path: Path, *, digest: str) -> Mapping[str, Any]:
    """Read a proof.

    Args:
        path: of ``proof.json``, or its directory.
        digest: of the checkpoint that it has to be of.

    Raises:
        HubError: if it isn't one, or is of another checkpoint.
    """
    path = path / NAME if path.is_dir() else path
    try:
        read: Any = json.loads(read_small(path, _MOST_BYTES))
    except (ValueError, VeloraError, RecursionError) as error:
        raise HubError(f"{path}: expected what velora prove json={NAME} wrote ({error})") from error
    proof: dict[str, Any] = read if isinstance(read, dict) else {}
    targets = proof.get("targets")
    if not isinstance(targets, list) or not all(isinstance(one, dict) and "name" in one for one in targets):
        raise HubError(f"{path}: expected what velora prove json={NAME} wrote, with a list of targets")
    if proof.get("digest") != digest:
        own = str(proof.get("digest"))[:12]
        raise HubError(f"{path}: of checkpoint {own}, expected {digest[:12]}; prove this one, or push that one")
    return proof


def proof_table(proof: Mapping[str, Any]) -> list[str]:
    """Write the table of a proof in Markdown, a row for each target."""
    is_discrete = proof.get("action_range") is None
    rows = Rows(_row(one, is_discrete=is_discrete) for one in proof["targets"] if not one.get("failure"))
    return as_markdown(rows, _COLUMNS, numbers={*_COLUMNS} - {"target", "bits"})


def _row(one: Mapping[str, Any], *, is_discrete: bool) -> dict[str, Any]:
    returns, distance = one.get("returns") or [], one.get("against_float64") or {}
    step = f"{one['per_step']:,.0f} {one.get('unit', '')}".strip() if one.get("per_step") else ""
    if one.get("ms_per_step"):
        step += f" = {one['ms_per_step']:.1f} ms"
    same = one.get("same_bits")
    return {
        "target": str(one["name"]),
        "a step": step,
        "error": _error(distance["action"], is_discrete=is_discrete) if "action" in distance else "",
        "bits": "reference" if same is None else "same" if same else f"from step {one.get('differs_at')}",
        "mean return": f"{sum(returns) / len(returns):.2f}" if returns else "",
        **{f"{name} B": _bytes(one, name) for name in ("flash", "RAM", "stack")},
    }


def _error(error: float, *, is_discrete: bool) -> str:
    return f"{error:.0f} other actions" if is_discrete else f"{error:.1e}"


def _bytes(one: Mapping[str, Any], name: str) -> str:
    number = one.get(f"{name.lower()}_bytes")
    return f"{number:,}" if isinstance(number, int) and number else ""
