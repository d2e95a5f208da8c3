"""Paths that people pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from velora.core.errors import SettingError


def checked_path(name: str, given: Any) -> Path:
    """Return a path that was given as text or as a path.

    Args:
        name: of the argument, for the error.

    Raises:
        SettingError: if it is anything else.
    """
    try:
        return Path(given)
    except TypeError as error:
        raise SettingError(f"{name}: expected a path, got {given!a:.80}") from error
