"""How to install what only some people need."""

from __future__ import annotations

import shlex
from pathlib import Path

DISTRIBUTION = "velora-rl"
"""What package registries call Velora: the name in ``pyproject.toml``, which a test compares."""
_PACKAGE = Path(__file__).parents[1]


def how_to_install(extra: str, *, package: Path = _PACKAGE) -> str:
    """Say how to install an extra, from a checkout of Velora or from the registry, wherever this one came from.

    Args:
        extra: its name in ``pyproject.toml``.
        package: the directory of Velora's code.

    Example:
        >>> how_to_install("wandb", package=Path("site-packages/velora"))
        "pip install 'velora-rl[wandb]'"
    """
    checkout = package.parents[1]
    if (checkout / "pyproject.toml").is_file() and package.parent.name == "src":
        return f"pip install -e {shlex.quote(f'{checkout}[{extra}]')}"
    return f"pip install '{DISTRIBUTION}[{extra}]'"
