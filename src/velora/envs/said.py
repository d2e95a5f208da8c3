"""What can be read from a description of an environment without making it; see :func:`velora.envs.describe`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def unsaid(described: Mapping[str, Any] | None) -> list[str]:
    """List, in words, what a description of an environment is missing."""
    return [str(one) for one in (described or {}).get("missing", ())]


def without_statistics(described: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out of a description what changes along training."""
    said = {name: value for name, value in described.items() if name != "others"}
    if "wrappers" in said:
        said["wrappers"] = [{"name": one["name"], "kwargs": one["kwargs"]} for one in said["wrappers"]]
    return said
