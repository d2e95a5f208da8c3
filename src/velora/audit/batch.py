"""A policy in float64 over a batch, differentiable, from which neurons can be removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from velora.core.errors import ShapeError
from velora.export.policy import Policy
from velora.export.torch_program import PolicyModule
from velora.kernels.layers import Kind

Floats = NDArray[np.float64]


class Batch(PolicyModule):
    """``actions, next_states = batch(observations, states, dt)``, in float64.

    A removed neuron puts out zero, always: whatever reads it, also itself a step later, reads 0.

    Shapes:
        observations: (B, n_observations). states: (B, n_state). dt: (B,), in control steps.

    Attributes:
        outputs: (B, K), the answers of the last step: continuous actions in the environment's units, or what a discrete
            action is chosen by.
    """

    _kept: Mapping[str, tuple[Tensor, str]] = {}

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.double()
        self.outputs: Tensor = torch.from_numpy(np.zeros(0))

    @property
    def n_neurons(self) -> int:
        """Number of neurons (N), those of a memory among them."""
        return sum(layer.n for layer in self.policy.layers)

    def remove(self, removed: NDArray[np.bool_]) -> None:
        """Remove neurons from now on, row by row of a batch; none where all is False.

        Shapes:
            removed: (B, N), in the order of a trace's activities.

        Raises:
            ShapeError: if there aren't N columns.
        """
        if removed.ndim != 2 or removed.shape[1] != self.n_neurons:
            raise ShapeError(f"remove: expected (B, {self.n_neurons}), got {removed.shape}")
        kept, at = dict[str, tuple[Tensor, str]](), 0
        for number, layer in enumerate(self.policy.layers):
            rows = torch.from_numpy(1.0 - removed[:, at : at + layer.n].astype(np.float64))
            kept[f"layer{number}."] = rows, "memory" if layer.kind is Kind.LSTM else "next"
            at += layer.n
        self._kept = kept if removed.any() else {}

    def forward(self, observation: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """Compute actions and next states."""
        action, new = super().forward(observation, state, dt)
        if not self.policy.is_discrete:
            self.outputs = action
        return action, new

    def called(self, name: str, value: Tensor) -> Tensor:
        """Silence what is removed."""
        rows, of = self._kept.get(self._scope, (None, ""))
        return value if rows is None or of != name else value * rows

    def largest(self, x: Tensor, first: int) -> Tensor:
        """See :class:`velora.export.operations.Operations`."""
        self.outputs = x
        return super().largest(x, first)

    def step(self, obs: Any, state: Any, dt: Any) -> tuple[Floats, Floats]:
        """Do the same with arrays, without gradients."""
        with torch.inference_mode():
            given = (torch.from_numpy(np.array(one, np.float64)) for one in (obs, state, dt))
            action, new = self(*given)
            return action.numpy(), new.numpy()
