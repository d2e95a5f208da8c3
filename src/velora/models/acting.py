"""Act for all seeds at once, step after step, in memory that stays where it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from velora.core.types import Array
from velora.models.exploration import Explorer
from velora.models.normalisation import Normaliser
from velora.nn.run.network import Network


class Acting:
    """Follow a policy and its exploration along the running episodes of all seeds.

    Shapes:
        obs: (S * E, O) float32, where the environments write their observations.
        hidden: (S, E, H), advanced in place.
        dt: (S * E, 1) float32, where the time since the observation before is written, in control steps.

    Args:
        normaliser: of the observations that the policy sees; ``None`` shows them as they are.
    """

    def __init__(
        self,
        policy: Network,
        exploration: Explorer,
        obs: Array,
        hidden: Tensor,
        dt: Array,
        *,
        normaliser: Normaliser | None = None,
    ) -> None:
        self._exploration, self._normaliser = exploration, normaliser
        each = hidden.shape[:2]
        self._given = torch.from_numpy(obs).view(*each, 1, -1)
        shown = self._given if normaliser is None else self._given.clone()
        self._seen = shown, torch.from_numpy(dt).view(*each, 1)
        self._read = tuple(seen.to(hidden.device) for seen in self._seen)
        out, self._advance = policy.stepper(self._read[0], hidden, self._read[1])
        self._out = out.view(len(obs), -1)
        self._shares_memory = hidden.device.type == "cpu"
        self._answer: NDArray[np.float32] = self._out.numpy() if self._shares_memory else np.empty(0, np.float32)

    def step(self, rows: tuple[int, ...], steps: Sequence[int], warming_up: Sequence[int]) -> NDArray[np.float32]:
        """Act once; the recurrent state advances also where actions are drawn at random.

        Shapes:
            returns: (S * E, A) in [-1, 1]; only those of ``rows`` mean anything.

        Args:
            rows: positions on the seed axis that act.
            steps: how many steps each seed has lived, in all its environments.
            warming_up: positions that act at random.
        """
        if self._normaliser is not None:
            self._normaliser.fit_observations(self._seen[0].copy_(self._given))
        if not self._shares_memory:
            for read, seen in zip(self._read, self._seen, strict=True):
                read.copy_(seen, non_blocking=True)
        self._advance(rows)
        out = self._answer if self._shares_memory else self._out.cpu().numpy()
        return self._exploration.act(out, rows, steps, warming_up)
