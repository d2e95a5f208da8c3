"""Numbers of recorded episodes, taken together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from velora.audit.batch import Floats
from velora.envs.actions import ActionBounds
from velora.export.policy import Policy
from velora.watch.trace import Trace


def joined(traces: Sequence[Trace], name: str) -> Floats:
    """Put an array of all episodes one after the other, in float64."""
    whole: Floats = np.concatenate([getattr(one, name) for one in traces]).astype(np.float64)
    return whole


def before(one: Trace) -> Floats:
    """Return the states before each step, (T, H)."""
    return np.concatenate((np.zeros_like(one.state[:1]), one.state[:-1])).astype(np.float64)


def reach_of(policy: Policy, outputs: Floats) -> Floats:
    """Return what answers are measured by: half the range of an action, or the deviation of a choice's outputs."""
    if isinstance(policy.units, ActionBounds):
        return policy.units.arrays[2].astype(np.float64)
    varied: Floats = np.maximum(outputs.std(0), 1e-9)
    return varied
