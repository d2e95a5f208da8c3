"""Let a package offer names whose modules are imported when they are first asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def on_demand(package: str, members: Mapping[str, str]) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a package.

    What only training needs is imported when training begins: an agent that is loaded to predict starts sooner.

    Args:
        package: its ``__name__``.
        members: the names it offers, with the submodule that holds each.
    """

    def find(name: str) -> Any:
        if name not in members:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{members[name]}"), name)

    return find
