"""A layer without memory, to show what recurrence is worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from velora.nn.cells.base import Cell, Weights
from velora.nn.cells.heads import check_mask
from velora.nn.linear import Linear, affine


@final
class MemorylessCell(Cell):
    """Compute ``tanh(W x + b)``; the state is that activation, and the old state and ``dt`` are never read.

    Args:
        input_size: features of the input.
        units: number of neurons, which is also the state and output size.
        generators: one per seed.
        mask: (S, units, input_size), non-zero where a neuron reads an input.

    Raises:
        SettingError: if a size is below 1.
        ShapeError: if the mask has another shape.
    """

    takes_time = False

    def __init__(
        self,
        input_size: int,
        units: int,
        generators: Sequence[torch.Generator],
        *,
        mask: Tensor | None = None,
    ) -> None:
        super().__init__(input_size, units, units, n_seeds=len(generators), is_bounded=True)
        if mask is not None:
            check_mask(mask, len(generators), units, input_size)
        self.heads = Linear(input_size, units, generators=generators, mask=mask, init="xavier")

    def weights(self) -> Weights:
        """Form the masked map."""
        return (self.heads.weights(),)

    def step(self, weights: Weights, x: Tensor, h: Tensor, dt: Tensor) -> Tensor:
        """Compute the layer's activation from the input alone."""
        return torch.tanh(affine(weights[0], x))
