"""Normalised scores: 0 is what random actions earn, 1 a reference, so that environments can be averaged over."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from velora.analysis.page import asset
from velora.analysis.statistics import Floats
from velora.core.errors import SettingError

TABLE, NONE = "table", "none"
COLUMNS: Final = ("environment", "random", "reference")
_OWN: Final = "comparison/scores.csv"
"""Random actions by ``python -m benchmarks.learning.random_policy``, 100 episodes each; references as published."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Returns that count as 0 and as 1, of one environment."""

    random: float
    reference: float

    def __call__(self, returns: Floats) -> Floats:
        """Normalise returns of any shape."""
        return (returns - self.random) / (self.reference - self.random)


def read_scales(
    normalise: str | Path | Mapping[str, tuple[float, float]], environments: Iterable[str]
) -> dict[str, Scale]:
    """Return the scale of every environment; none at all if one isn't known.

    Args:
        normalise: ``table`` for the one that comes with Velora, ``none``, a CSV file with the columns
            ``environment``, ``random`` and ``reference``, or a mapping from environment to the last two.
        environments: Gymnasium ids.

    Raises:
        SettingError: if a file can't be read, or what was given lacks an environment or has no two different numbers
            for it.
    """
    wanted = sorted(set(environments))
    if normalise == NONE:
        return {}
    if normalise == TABLE:
        own = _parse(asset(_OWN).splitlines(), TABLE)
        return {name: own[name] for name in wanted} if set(wanted) <= set(own) else {}
    if isinstance(normalise, Mapping):
        given = {name: _scale(name, pair, "normalise") for name, pair in normalise.items()}
    else:
        given = _parse(_lines(Path(normalise)), f"normalise={normalise}")
    missing = [name for name in wanted if name not in given]
    if missing:
        known = ", ".join(given) or "nothing"
        raise SettingError(f"normalise: expected scores of {', '.join(missing)}, found those of {known}; add a line")
    return {name: given[name] for name in wanted}


def unknown(environments: Iterable[str]) -> list[str]:
    """List the environments that the table of Velora doesn't have."""
    return sorted(set(environments) - set(_parse(asset(_OWN).splitlines(), TABLE)))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(
            f"normalise={path}: expected a CSV file with the columns {', '.join(COLUMNS)}, or {TABLE} or {NONE}; "
            f"it can't be read ({error})"
        ) from error


def _parse(lines: Iterable[str], where: str) -> dict[str, Scale]:
    rows = csv.DictReader(lines)
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise SettingError(f"{where}: expected the columns {', '.join(COLUMNS)}, found no {', '.join(missing)}")
    return {row["environment"]: _scale(row["environment"], (row["random"], row["reference"]), where) for row in rows}


def _scale(environment: str, pair: tuple[object, object], where: str) -> Scale:
    try:
        low, high = (float(value) for value in pair)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low != high):
        raise SettingError(f"{where}: {environment}: expected two different numbers, random and reference, got {pair}")
    return Scale(low, high)
