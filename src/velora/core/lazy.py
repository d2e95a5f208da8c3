"""Let a package offer names whose modules are imported when they are first asked for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def on_demand(package: str, members: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the ``__getattr__`` and the ``__dir__`` of a package.

    What only training needs is imported when training begins: an agent that is loaded to predict starts sooner.

    Args:
        package: its ``__name__``.
        members: the names it offers, with the submodule that holds each; of another package by its whole name.
    """

    def find(name: str) -> Any:
        if name not in members:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        place = members[name]
        return getattr(importlib.import_module(place if place.startswith("velora.") else f"{package}.{place}"), name)

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *members})

    return find, names
