"""A Gaussian that is squashed into [-1, 1] by tanh: what a stochastic policy puts out, and actions drawn from it.

A policy puts out 2A numbers: the means of A actions before the tanh, and A numbers that decide their deviations. The
logarithm of a deviation is kept between ``LOG_STD_MIN`` and ``LOG_STD_MAX``, smoothly, by a tanh of its own.

Source:
    Haarnoja et al. 2018 (arXiv 1812.05905), appendix C. The bounds and the tanh on the logarithm of the deviation are
    those of Yarats & Kostrikov 2020, "Soft actor-critic (SAC) implementation in PyTorch"
    (github.com/denisyarats/pytorch_sac).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from velora.ops.log_std import LOG_STD_HALF, LOG_STD_MIDDLE


def draw_actions(out: NDArray[np.float32], normal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Draw one action from each policy.

    Shapes:
        out: (N, 2A). normal: (N, A), of unit deviation. returns: (N, A), in [-1, 1].
    """
    mean, raw = out[:, : normal.shape[1]], out[:, normal.shape[1] :]
    std = np.exp(LOG_STD_MIDDLE + LOG_STD_HALF * np.tanh(raw))
    actions: NDArray[np.float32] = np.tanh(mean + std * normal)
    return actions
