"""The groups of files that a command chooses from, among all that there are."""

from __future__ import annotations

import re
from collections.abc import Container
from pathlib import Path

import yaml

_LISTED = re.compile(r"(?P<name>[\w/]+): \S.*")
_BEGIN, _END = "Groups:", "Settings:"


def used(config: Path) -> set[str]:
    """Name the groups that a command's file has a choice of; those below one of them, as ``env/mask``, belong to it.

    Args:
        config: such as ``conf/train.yaml``.
    """
    defaults = yaml.safe_load(config.read_text(encoding="utf-8"))["defaults"]
    named = [name for entry in defaults if isinstance(entry, dict) for name in entry]
    return {name for name in named if not name.startswith("override ")}


def only(names: Container[str], text: str) -> str:
    """Leave out of a command's help the lines of other groups; Hydra lists those of all commands.

    Example:
        >>> only({"env"}, "Groups: choose.\\n\\nenv: a, b\\nenv/mask: c\\nlogger: csv\\n\\nSettings:\\nlogger: x")
        'Groups: choose.\\n\\nenv: a, b\\nenv/mask: c\\n\\nSettings:\\nlogger: x'
    """
    lines, inside = [], False
    for line in text.split("\n"):
        if line.startswith((_BEGIN, _END)):
            inside = line.startswith(_BEGIN)
        elif inside and (found := _LISTED.fullmatch(line)) and found["name"].partition("/")[0] not in names:
            continue
        lines.append(line)
    return "\n".join(lines)
