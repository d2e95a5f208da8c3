"""Noise for exploration."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def correlated_noise(
    previous: NDArray[np.float32], normal: NDArray[np.float32], *, std: float, correlation: float
) -> NDArray[np.float32]:
    """Advance an Ornstein-Uhlenbeck process by one step, in the form whose stationary deviation is ``std``.

    Shapes:
        previous, normal: equal; ``normal`` holds independent standard normal draws.
        returns: the same.

    Args:
        std: stationary standard deviation, >= 0, in units of the normalised action.
        correlation: of neighbouring steps, in [0, 1); 0 is white Gaussian noise.

    Source:
        Uhlenbeck & Ornstein 1930, discretised exactly: theta * dt = -ln(correlation). DDPG (Lillicrap et al. 2016,
        section 7) uses the Euler step with theta 0.15 and sigma 0.2, which is correlation 0.85 and deviation 0.38.
    """
    innovation = std * math.sqrt(1.0 - correlation * correlation)
    return correlation * previous + innovation * normal
