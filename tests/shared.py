"""What tests of many rooms need; each test file names what it takes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from velora import kernels
from velora.checkpoint import Checkpoint

KERNELS = ["torch", "numpy", *(["native"] if kernels.extension else [])]
"""The kernels that are there: the native one only where it could be built."""

QUIET: dict[str, Any] = {"progress_bar": False, "summary": False}
"""Arguments of ``train`` for no output."""


def digests(checkpoint: Path) -> dict[str, str]:
    """Return the digest of every file of a checkpoint, but of metadata.json."""
    return {name: info.sha256 for name, info in Checkpoint.open(checkpoint).metadata.files.items()}


@contextmanager
def root_logger_kept() -> Iterator[None]:
    """Close the files that a command logged to, and leave the root logger as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        for handler in set(root.handlers) - set(handlers):
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
