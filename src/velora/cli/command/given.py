"""The words that a command was given, to write it again: at the foot of a page, or with another command's name."""

from __future__ import annotations

import shlex
from pathlib import Path

from hydra.core.hydra_config import HydraConfig

_COMMAND_LINE = "command-line"
"""Hydra's name of what ``--config-dir`` adds to the places that it looks for files in."""


def given_words(*without: str) -> list[str]:
    """Return the words of the command that Hydra runs now, as a shell takes them: ``--config-dir``, then settings.

    Args:
        without: names of settings to leave out.
    """
    hydra = HydraConfig.get()
    extra = [Path(one.path) for one in hydra.runtime.config_sources if one.provider == _COMMAND_LINE]
    here = Path(hydra.runtime.cwd)
    shown = [path.relative_to(here) if path.is_relative_to(here) else path for path in extra]
    words = [word for word in hydra.overrides.task if word.lstrip("+~").partition("=")[0] not in without]
    return [shlex.quote(word) for word in (*(f"--config-dir={path}" for path in shown), *words)]
