"""Lineage of a checkpoint: the branches of its run that led to it.

A resume from an older checkpoint begins a branch of the run, and leaves behind the checkpoints that were written after
that one. Branches have numbers that only grow, so that the newest checkpoint is the furthest in the newest branch.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Final, TypeAlias

from pydantic import JsonValue

Lineage: TypeAlias = tuple[tuple[int, int], ...]
"""Branches that led to a checkpoint, the oldest first: the number of each, and the environment step it began at."""
Place: TypeAlias = tuple[int, int]
"""Number of a branch, and an environment step in it; places in one run are ordered by both."""

TRUNK: Final[Lineage] = ((0, 0),)
"""Lineage of a run that was never resumed from an older checkpoint, and of checkpoints that say nothing of it."""
MEMBER: Final = "lineage"
"""Where it stands in ``train_state``."""
_MOST_BRANCHES: Final = 10_000
_MOST_STEPS: Final = 2**53


def read_lineage(train_state: Mapping[str, JsonValue] | None) -> Lineage:
    """Read it from the ``train_state`` of a checkpoint.

    Raises:
        ValueError: if what is there is no lineage.
    """
    found = (train_state or {}).get(MEMBER)
    if found is None:
        return TRUNK
    if not isinstance(found, list) or not 1 <= len(found) <= _MOST_BRANCHES or not all(map(_is_pair, found)):
        raise ValueError(f"{MEMBER}: expected pairs of a branch and a step, received {found!a:.80}")
    pairs: Lineage = tuple((one[0], one[1]) for one in found)  # type: ignore[index, misc]
    if any(not (one[0] < other[0] and one[1] <= other[1]) for one, other in itertools.pairwise(pairs)):
        raise ValueError(f"{MEMBER}: expected branches that grow and steps that don't shrink, received {found!a:.80}")
    return pairs


def branched(lineage: Lineage, step: int, *, newest: int) -> Lineage:
    """Begin a branch at a step, after the branch with the number ``newest``.

    Example:
        >>> branched(TRUNK, 400, newest=2)
        ((0, 0), (3, 400))
    """
    return (*lineage, (newest + 1, step))


def holds(lineage: Lineage, place: Place) -> bool:
    """Return whether a place lies on the way that a lineage tells, and wasn't left behind by a branch.

    Example:
        >>> way = ((0, 0), (3, 400))
        >>> holds(way, (0, 400)), holds(way, (0, 600)), holds(way, (1, 200)), holds(way, (3, 600))
        (True, False, False, True)
    """
    ends = [began for _, began in lineage[1:]]
    return any(
        number == place[0] and (end is None or place[1] <= end)
        for (number, _), end in itertools.zip_longest(lineage, ends)
    )


def parted(one: Lineage, other: Lineage) -> int | None:
    """Return the environment step up to which two ways are the same; ``None`` if they never part.

    Example:
        >>> parted(TRUNK, ((0, 0), (3, 400))), parted(((0, 0), (1, 200)), ((0, 0), (3, 400))), parted(TRUNK, TRUNK)
        (400, 200, None)
    """
    for pair in itertools.zip_longest(one, other):
        if pair[0] != pair[1]:
            return min(branch[1] for branch in pair if branch is not None)
    return None


def _is_pair(one: JsonValue) -> bool:
    return isinstance(one, list) and len(one) == 2 and all(type(n) is int and 0 <= n <= _MOST_STEPS for n in one)
