"""Targets that a value function learns from."""

from __future__ import annotations

from torch import Tensor

from velora.core.errors import ShapeError


def td_target(reward: Tensor, terminated: Tensor, next_value: Tensor, dt: Tensor, *, gamma: float) -> Tensor:
    """Bootstrap one step ahead, except where the episode terminated: ``reward + gamma**dt * next_value``.

    A truncated step (a time limit) still bootstraps: the task goes on, only the episode doesn't.

    Shapes:
        reward, terminated, next_value, dt: equal, such as (S, B, T); ``terminated`` is 0 or 1, ``dt`` is how long the
            step took, in control steps.
        returns: the same, in reward units.

    Args:
        gamma: discount of one control step, in [0, 1].

    Raises:
        ShapeError: if the four tensors differ in shape.

    Source:
        Sutton & Barto 2018, eq. 6.2; Pardo et al. 2018 (arXiv 1712.00378) for time limits; Bradtke & Duff 1994,
        "Reinforcement learning methods for continuous-time Markov decision problems", for steps of any length.
        Differs: the reward of a step isn't discounted, whenever within the step it was earned.
    """
    if not reward.shape == terminated.shape == next_value.shape == dt.shape:
        raise ShapeError(
            "td_target: expected reward, terminated, next_value and dt of one shape, got "
            f"{tuple(reward.shape)}, {tuple(terminated.shape)}, {tuple(next_value.shape)} and {tuple(dt.shape)}"
        )
    return reward + gamma**dt * (1.0 - terminated) * next_value
