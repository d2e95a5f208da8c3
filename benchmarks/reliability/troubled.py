"""A training run that is troubled by what is around it, and what must have come of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.reliability.training import Training, difference, everything

RUN = Training(n_steps=54, saving={"frequency": 2})
Trial: TypeAlias = Callable[[Path, dict[str, Any]], str | None]
"""Do something to a run in a directory, given what the undisturbed one left; return a complaint about its end."""


def same(place: Path, whole: dict[str, Any], *, rows: bool = True) -> str | None:
    """Compare what is there with the undisturbed run."""
    text = difference({k: v for k, v in whole.items() if rows or not k.endswith("rows")}, everything(place))
    return f"differs: {text}" if text else None
