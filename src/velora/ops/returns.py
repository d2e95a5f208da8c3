"""Targets that a value function learns from."""

from __future__ import annotations

import numpy as np
import torch
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


@np.errstate(all="ignore")
def generalised_advantage(delta: Tensor, ended: Tensor, discount: Tensor, *, decay: float) -> Tensor:
    """Sum up one-step errors of a value function, each later one weighted less, up to the end of the episode.

    Shapes:
        delta: (S, B, T), how much better each step went than its value said, ``td_target - value``.
        ended: (S, B, T), 1 at the last step of an episode, whether it terminated or was truncated.
        discount: (S, B, T), of the time from each step to the next.
        returns: (S, B, T), in reward units, on the CPU.

    Args:
        decay: lambda, in [0, 1]; 0 is the one-step error, 1 all rewards until the episode or the window ends.

    Raises:
        ShapeError: if the three tensors differ in shape.

    Source:
        Schulman et al. 2016 (arXiv 1506.02438), equation 16. Differs: where a window ends inside an episode the value
        of the observation after it stands for the rest, which is in ``delta``, as at a truncated step (Pardo et al.
        2018).
    """
    if not delta.shape == ended.shape == discount.shape:
        raise ShapeError(
            "generalised_advantage: expected delta, ended and discount of one shape, "
            f"got {tuple(delta.shape)}, {tuple(ended.shape)} and {tuple(discount.shape)}"
        )
    weight = (decay * discount * (1.0 - ended)).cpu().numpy()
    advantage = delta.cpu().numpy().copy()
    for t in range(advantage.shape[2] - 2, -1, -1):
        advantage[:, :, t] += weight[:, :, t] * advantage[:, :, t + 1]
    return torch.from_numpy(advantage)
