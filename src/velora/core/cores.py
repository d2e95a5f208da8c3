"""The processor cores that this process may use."""

from __future__ import annotations

import os
from typing import Final

SHARE: Final = "VELORA_CORES"
"""Environment variable: the share of the cores that a process has which works beside others, as a job of a sweep."""


def n_cores() -> int:
    """Count the cores that this process may use, which containers and schedulers keep below those of the machine.

    A sweep shares them out among the jobs that it runs at a time.
    """
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = os.environ.get(SHARE, "")
    return max(1, min(there, int(share))) if share.isdecimal() else there
