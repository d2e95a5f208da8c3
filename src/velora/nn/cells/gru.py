"""The gated recurrent unit, as a yardstick for the liquid cells on the same wiring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from velora.nn.cells.base import Cell, Weights
from velora.nn.cells.heads import gated_heads
from velora.nn.linear import affine


@final
class GRUCell(Cell):
    """Step a GRU layer. It knows no time: ``dt`` is accepted and ignored.

    ::

        r, z = sigmoid(heads of concat(x, h));  n = tanh(W x + b + r * (U h + c));  h' = (1 - z) * n + z * h

    The four heads r, z, W x and U h are one product; the two halves of n are kept apart by the mask.

    Args:
        input_size: features of the input.
        units: number of neurons, which is also the state and output size.
        generators: one per seed.
        mask: (S, units, input_size), non-zero where a neuron reads an input; it holds for all gates.

    Raises:
        SettingError: if a size is below 1.
        ShapeError: if the mask has another shape.

    Source:
        Cho et al. 2014 in the form of ``torch.nn.GRUCell``. Differs: weights start in U(-k, k) with
        k = (inputs + units)**-0.5, the fused layer's fan-in, not units**-0.5; r and z have one bias, not two.
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
        self.heads = gated_heads(input_size, units, generators, mask=mask)

    def weights(self) -> Weights:
        """Form the masked gates."""
        return (self.heads.weights(),)

    def step(self, weights: Weights, x: Tensor, h: Tensor, dt: Tensor) -> Tensor:
        """Advance the layer by one input."""
        units = self.state_size
        heads = affine(weights[0], torch.cat((x, h), 2))
        gates, from_input, from_state = heads.split_with_sizes((2 * units, units, units), 2)
        reset, keep = torch.sigmoid(gates).chunk(2, 2)
        return torch.lerp(torch.tanh(torch.addcmul(from_input, reset, from_state)), h, keep)
