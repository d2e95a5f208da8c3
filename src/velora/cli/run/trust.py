"""Settings that a file may not decide by itself: code from elsewhere, and places outside of the run's directory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from omegaconf import OmegaConf

from velora.cli.settings.instantiate import targets
from velora.nn.cells.registry import is_foreign

_TRUSTED: Final = {
    "agent": re.compile(r"velora\.models\.\w+"),
    "callbacks": re.compile(r"(velora|lightning\.pytorch)\.callbacks\.\w+"),
    "logger": re.compile(
        r"velora\.training\.loggers\.csv_logger\.CSVLogger|lightning\.pytorch\.loggers\.(CSVLogger|TensorBoardLogger)"
    ),
}
"""Classes that each group may name: those that a package offers, and loggers that write files and nothing else."""
_PLACE: Final = re.compile(r"(?i)dir|path|folder|root")
"""Names of keywords that are places; relative ones begin in the current directory."""


def foreign_code(settings: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    """Find the settings that name code from outside Velora and Lightning: classes, a cell, an environment's module.

    A class inside another entry is never made unasked, wherever it comes from.
    """
    for group, trusted in _TRUSTED.items():
        own = f"{group}._target_" if group == "agent" else rf"{group}\.[^.]+\._target_"
        for where, path in targets(group, settings.get(group, {})):
            if not (re.fullmatch(own, where) and trusted.fullmatch(path)):
                yield where, path
    cell = (settings.get("agent") or {}).get("cell")
    if is_foreign(cell):
        yield "agent.cell", str(cell)
    environment = settings.get("env") or {}
    if ":" in str(environment.get("id")):
        yield "env.id", str(environment.get("id"))
    for where, value in _texts("env.kwargs", environment.get("kwargs") or {}):
        if ":" in value:
            yield where, value


def foreign_places(settings: Mapping[Any, Any], run_dir: Path) -> Iterator[tuple[str, str]]:
    """Find the settings of loggers, callbacks and environment that name a place outside of the run's directory."""
    environment = settings.get("env") or {}
    groups = {name: settings.get(name) or {} for name in ("callbacks", "logger")}
    for group, node in (*groups.items(), ("env.kwargs", environment.get("kwargs") or {})):
        for where, value in _texts(group, node):
            is_place = group != "env.kwargs" and _PLACE.search(where.rpartition(".")[2]) is not None
            if _leads_out(value, run_dir, is_place=is_place):
                yield where, value


def _leads_out(value: str, run_dir: Path, *, is_place: bool) -> bool:
    parts = re.split(r"[/\\]", value)
    if "://" in value or parts[0].startswith("~"):
        return True
    if not (is_place or ".." in parts or Path(value).is_absolute() or re.match(r"[A-Za-z]:|[/\\]", value)):
        return False
    return not Path(value).resolve().is_relative_to(run_dir.resolve())


def _texts(name: str, node: Any) -> Iterator[tuple[str, str]]:
    """Find every text in an entry but the names of classes: its full name, and its value."""
    plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    if isinstance(plain, str):
        yield name, plain
    elif isinstance(plain, Mapping):
        for key, child in plain.items():
            if key != "_target_":
                yield from _texts(f"{name}.{key!s}", child)
    elif isinstance(plain, list | tuple):
        for position, child in enumerate(plain):
            yield from _texts(f"{name}.{position}", child)
