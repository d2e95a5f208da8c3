"""Act for all seeds at once, step after step, in memory that stays where it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from velora.core.types import Array
from velora.models.exploration import Explorer
from velora.nn.execution import Network


class Acting:
    """Follow a policy and its exploration along the running episodes of all seeds.

    Shapes:
        obs: (S, O) float32, where the environments write their observations.
        hidden: (S, 1, H), advanced in place.
        dt: (S, 1), in control steps.
    """

    def __init__(self, policy: Network, exploration: Explorer, obs: Array, hidden: Tensor, dt: Tensor) -> None:
        self._exploration = exploration
        self._seen = torch.from_numpy(obs).unsqueeze(1).unsqueeze(2)
        self._obs = self._seen.to(hidden.device)
        out, self._advance = policy.stepper(self._obs, hidden, dt.unsqueeze(2))
        self._out = out.flatten(1)
        self._shares_memory = hidden.device.type == "cpu"
        self._read: NDArray[np.float32] = self._out.numpy() if self._shares_memory else np.empty(0, np.float32)

    def step(self, rows: tuple[int, ...], steps: Sequence[int], warming_up: Sequence[int]) -> NDArray[np.float32]:
        """Act once; the recurrent state advances also where actions are drawn at random.

        Shapes:
            returns: (S, A) in [-1, 1]; only those of ``rows`` mean anything.

        Args:
            rows: positions on the seed axis that act.
            steps: how many steps each seed has lived.
            warming_up: positions that act at random.
        """
        if not self._shares_memory:
            self._obs.copy_(self._seen, non_blocking=True)
        self._advance(rows)
        out = self._read if self._shares_memory else self._out.cpu().numpy()
        return self._exploration.act(out, rows, steps, warming_up)
