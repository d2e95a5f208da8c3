"""What is legal in an environment, and often not meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from velora.envs.played import Episode

_SLOW_S, _LARGE = 1e-3, 100.0
_SHOWN = 6


def cautions(episodes: Sequence[Episode], *, shows_numbers: bool, is_limited: bool) -> Iterator[str]:
    """Find what is legal, and often not meant.

    Args:
        episodes: that were played with random actions.
        shows_numbers: whether an observation is a vector of numbers.
        is_limited: whether the environment has a time limit.
    """
    over, rewards = [one for one in episodes if one.is_over], [r for one in episodes for r in one.rewards]
    n_steps = len(rewards)
    seconds = sum(one.seconds for one in episodes) / n_steps
    if not over:
        yield (
            f"no episode ended within {n_steps:,} steps; register it with max_episode_steps=..., or give "
            "+env.kwargs.max_episode_steps=... (steps=... plays longer)"
        )
    elif not is_limited and all(one.terminated for one in over):
        yield (
            "no time limit: an agent that learns not to fail may never end an episode; register it with "
            "max_episode_steps=..., or give +env.kwargs.max_episode_steps=..."
        )
    lengths = {len(one.actions) for one in over}
    if len(over) > 2 and len(lengths) == 1 and lengths != {1} and all(one.terminated for one in over):
        yield (
            f"every episode terminated after {lengths.pop()} steps; where that is a time limit, say truncated instead: "
            "terminated means that nothing could be earned any more"
        )
    if len(rewards) > 1 and min(rewards) == max(rewards) and (len(lengths) <= 1 or rewards[0] == 0.0):
        yield f"every reward was {rewards[0]:g}: random actions earn nothing to learn from, or the reward is missing"
    if seconds > _SLOW_S:
        yield f"a step takes {seconds * 1e3:.1f} ms; several seeds with env.workers=... step at the same time"
    if not shows_numbers:
        return
    low, high = np.min([one.low for one in episodes], axis=0), np.max([one.high for one in episodes], axis=0)
    if n_steps > 1 and (still := np.flatnonzero(low == high)).size:
        yield f"of an observation {_positions(still)} of {low.size} numbers never changed"
    if low.size and max(np.abs(low).max(), np.abs(high).max()) > _LARGE:
        yield (
            f"observations reach {span([float(low.min()), float(high.max())], 'g')}; networks learn from numbers "
            "around 1: scale them, or train with agent.normalize_obs=true"
        )


def _positions(at: Any) -> str:
    first = ", ".join(str(int(one)) for one in at[:_SHOWN])
    return f"{at.size} ({first}, ...)" if at.size > _SHOWN else f"{at.size} ({first})"


def span(numbers: Sequence[float], form: str) -> str:
    """Write the least and the largest of some numbers, or the one that they all are.

    Args:
        form: of one number, as ``format`` takes it.
    """
    low, high = min(numbers), max(numbers)
    return f"{low:{form}}" if low == high else f"{low:{form}} to {high:{form}}"
