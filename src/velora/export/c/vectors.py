"""Example steps that a generated policy carries: what it has to answer, within a tolerance and to the bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.envs.actions import ActionBounds
from velora.export.c.bits import Bits
from velora.export.policy import Policy
from velora.export.replay import Replay

Array = NDArray[Any]
STEPS = 8
TOLERANCE = 5e-5
"""Largest difference of an action from the reference, for actions within [-1, 1]."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """A short episode.

    Shapes:
        observations: (steps, n_observations). dt: (steps,). actions: (steps, n_actions), of the float64 reference.

    Attributes:
        tolerance: of an action, in its units; ``None`` for discrete ones, which have to be equal.
        digest: FNV-1a of the bits of every action and state of float32, step by step.
    """

    observations: Array
    dt: Array
    actions: Array
    tolerance: float | None
    digest: int


def make_vectors(policy: Policy) -> Vectors:
    """Draw observations and irregular times, and compute what the policy answers. The same policy has the same ones."""
    numbers = np.random.default_rng(17)
    obs = numbers.normal(size=(STEPS, policy.n_observations))
    if policy.normalisation is not None:
        obs = policy.normalisation.mean + obs / policy.normalisation.factor
    observations = obs.astype(np.float32)
    dt = (np.exp2(numbers.integers(-8, 9, STEPS) / 4.0) if policy.reads_dt else np.ones(STEPS)).astype(np.float32)
    reference, bits, digest = Replay(policy), Bits(policy), Digest()
    exact, state, actions, largest = np.zeros(policy.n_state), np.zeros(policy.n_state, np.float32), [], 0.0
    for one, time in zip(observations, dt, strict=True):
        expected, exact = reference.step(one, exact, float(time))
        action, state = bits.step(one, state, float(time))
        digest.add(action)
        digest.add(state)
        actions.append(expected)
        largest = max(largest, float(np.abs(action - expected).max()))
    return Vectors(observations, dt, np.array(actions), _tolerance(policy, largest), digest.value)


def _tolerance(policy: Policy, largest: float) -> float | None:
    if policy.is_discrete:
        return None
    assert isinstance(policy.units, ActionBounds)
    return max(TOLERANCE * float(policy.units.arrays[2].max()), 4.0 * largest)


class Digest:
    """FNV-1a of 32 bits over numbers of 32 bits, the lowest byte first."""

    def __init__(self) -> None:
        self.value = 2166136261

    def add(self, numbers: Array) -> None:
        """Count numbers in, floats by their bits."""
        kind = np.uint32 if numbers.dtype.kind == "f" else np.int32
        words = numbers.view(np.uint32) if kind is np.uint32 else numbers.astype(np.int32).view(np.uint32)
        for word in words.tolist():
            for shift in (0, 8, 16, 24):
                self.value = ((self.value ^ ((word >> shift) & 0xFF)) * 16777619) & 0xFFFFFFFF
