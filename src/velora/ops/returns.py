"""Targets that a value function learns from."""

from __future__ import annotations

from torch import Tensor

from velora.core.errors import ShapeError


def td_target(reward: Tensor, terminated: Tensor, next_value: Tensor, *, gamma: float) -> Tensor:
    """Bootstrap one step ahead, except where the episode terminated.

    A truncated step (a time limit) still bootstraps: the task goes on, only the episode doesn't.

    Shapes:
        reward, terminated, next_value: equal, such as (S, B, T); ``terminated`` is 0 or 1.
        returns: the same, in reward units.

    Args:
        gamma: discount of one step, in [0, 1].

    Raises:
        ShapeError: if the three tensors differ in shape.

    Source:
        Sutton & Barto 2018, eq. 6.2; Pardo et al. 2018 (arXiv 1712.00378) for time limits.
    """
    if not reward.shape == terminated.shape == next_value.shape:
        raise ShapeError(
            "td_target: expected reward, terminated and next_value of one shape, "
            f"got {tuple(reward.shape)}, {tuple(terminated.shape)} and {tuple(next_value.shape)}"
        )
    return reward + gamma * (1.0 - terminated) * next_value
