"""The command that made a page, for the page's foot."""

from __future__ import annotations

import shlex
from collections.abc import Collection

from hydra.core.hydra_config import HydraConfig

from velora.cli.command.arguments import written


def made_by(command: str, checkpoint: str, *, but: Collection[str] = ()) -> str:
    """Write a command as it was typed, with every setting that decides what is on its page.

    Args:
        checkpoint: that the page is of.
        but: names of settings to leave out; ``out`` and the checkpoint's own always are.
    """
    typed = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    names = {"checkpoint", "checkpoint.path", "out", *but}
    words = [word for word in typed if word.partition("=")[0].lstrip("+~") not in names]
    return " ".join([f"velora {command}", written("checkpoint", checkpoint), *map(shlex.quote, words)])
