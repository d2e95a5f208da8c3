"""Noise for exploration."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def innovation_std(std: float, correlation: float) -> float:
    """Return the deviation of what :func:`correlated_noise` adds at each step, so that the process has ``std``."""
    return std * math.sqrt(1.0 - correlation * correlation)


def correlated_noise(
    previous: NDArray[np.float32], innovation: NDArray[np.float32], *, correlation: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Advance an Ornstein-Uhlenbeck process by one step.

    Shapes:
        previous, innovation, correlation: equal, which costs a third of broadcasting on arrays this small;
            ``innovation`` holds independent normal draws of the deviation :func:`innovation_std`.
        returns: the same.

    Args:
        previous: where the process was, in units of the normalised action.
        correlation: of neighbouring steps, in [0, 1); 0 is white Gaussian noise.

    Source:
        Uhlenbeck & Ornstein 1930, discretised exactly: theta * dt = -ln(correlation). DDPG (Lillicrap et al. 2016,
        section 7) uses the Euler step with theta 0.15 and sigma 0.2, which is correlation 0.85 and deviation 0.38.
    """
    return correlation * previous + innovation
