"""Boxes around recorded episodes, over which answers are bounded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from velora.audit.batch import Floats
from velora.audit.bounds import looseness, reachable
from velora.audit.findings import Bounded
from velora.audit.intervals import Interval
from velora.audit.recorded import before, joined, reach_of
from velora.export.policy import Policy
from velora.watch.trace import Trace

RADII: Final = (0.001, 0.01, 0.1)
"""Half widths of boxes around what was seen, in deviations of observations."""
STEPS: Final = (1, 5, 20)
"""Steps that bounds go over."""
_BOXES: Final = 16


def shortest(traces: Sequence[Trace]) -> float:
    """Return the least dt of all episodes, in control steps."""
    return float(min(one.dt.min() for one in traces))


def bounds(policy: Policy, traces: Sequence[Trace], spread: Floats, *, seed: int) -> list[Bounded]:
    """Bound and sample boxes around windows of the episodes, then the whole range of what was seen."""
    reach, chance = reach_of(policy, joined(traces, "output")), np.random.default_rng(seed)
    found = []
    for n_steps in STEPS:
        long = [one for one in traces if one.n_steps >= n_steps]
        if not long:
            continue
        chosen = [long[k] for k in chance.integers(len(long), size=_BOXES)]
        starts = [int(chance.integers(one.n_steps - n_steps + 1)) for one in chosen]
        state = np.stack([before(one)[at] for one, at in zip(chosen, starts, strict=True)])
        for radius in RADII:
            seen, times = [], []
            for k in range(n_steps):
                middle = np.stack([one.observation[at + k] for one, at in zip(chosen, starts, strict=True)])
                low, high = middle.astype(np.float64) - radius * spread, middle.astype(np.float64) + radius * spread
                seen.append(Interval(low, high))
                times.append(Interval.point(np.array([one.dt[at + k] for one, at in zip(chosen, starts, strict=True)])))
            own = looseness(policy, seen, Interval.point(state), times, reach=reach, seed=seed)
            found.append(Bounded(radius, n_steps, own))
    return [*found, *_everywhere(policy, traces, reach, seed=seed)]


def _everywhere(policy: Policy, traces: Sequence[Trace], reach: Floats, *, seed: int) -> list[Bounded]:
    """Bound a step over all that was seen and every state; none where states have no bound."""
    obs, dt = joined(traces, "observation"), joined(traces, "dt")
    states = reachable(policy, n_steps=max(one.n_steps for one in traces), shortest=shortest(traces))
    if not np.isfinite(states.high).all():
        return []
    seen, time = Interval(obs.min(0)[None], obs.max(0)[None]), Interval(dt.min()[None], dt.max()[None])
    own = looseness(policy, [seen], states, [time], reach=reach, n_samples=4096, seed=seed)
    return [Bounded(None, 1, own)]
