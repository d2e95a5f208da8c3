"""Where the checkpoints of a run lie: at the top of a directory, or those of each seed in a ``seedK`` of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

CHECKPOINTS = "checkpoints"
"""The directory inside a run's directory that the command line keeps checkpoints in."""
LOCK_NAME = ".lock"
"""The file that a live run holds locked, in its directory and in that of its checkpoints."""
_SEED = re.compile(r"seed(?P<seed>0|[1-9][0-9]*)")


def seed_directory(home: Path, seed: int) -> Path:
    """Return where the checkpoints of one seed lie, in a run of several."""
    return home / f"seed{seed}"


def seed_directories(home: Path) -> dict[int, Path]:
    """Find the seeds that have a directory of their own, smallest first; none in a run of one seed.

    Example:
        >>> seed_directories(Path("nowhere"))
        {}
    """
    try:
        names = os.listdir(home)
    except OSError:
        return {}
    found = {int(match["seed"]): home / name for name in names if (match := _SEED.fullmatch(name))}
    return {seed: found[seed] for seed in sorted(found) if found[seed].is_dir()}


def find_home(directory: Path) -> Path:
    """Return where a run keeps its checkpoints, given that place or the run's own directory."""
    inside = directory / CHECKPOINTS
    return inside if inside.is_dir() and not seed_directories(directory) else directory


def listed(seeds: Iterable[int], *, most: int = 10) -> str:
    """Write seeds out for people: three or more in a row as a range, and not too many.

    Example:
        >>> listed([3, 5, 8]), listed(range(100)), listed([7, 0, 1, 2])
        ('3, 5, 8', '0 to 99', '7, 0 to 2')
    """
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    words = [w for run in runs for w in ([f"{run[0]} to {run[-1]}"] if len(run) > 2 else map(str, run))]
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more
