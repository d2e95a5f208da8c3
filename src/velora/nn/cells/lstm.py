"""The long short-term memory, as a yardstick for the liquid cells on the same wiring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from velora.nn.cells.base import Cell, Weights
from velora.nn.cells.heads import fused_heads
from velora.nn.linear import affine


@final
class LSTMCell(Cell):
    """Step an LSTM layer. It knows no time: ``dt`` is accepted and ignored.

    ::

        i, f, o = sigmoid(heads of concat(x, h));  g = tanh(head of concat(x, h))
        c' = f * c + i * g;   h' = o * tanh(c')

    The state is concat(c, h), twice the number of neurons; the readout, which the next layer reads, is h.

    Args:
        input_size: features of the input.
        units: number of neurons, which is also the output size.
        generators: one per seed.
        mask: (S, units, input_size), non-zero where a neuron reads an input; it holds for all gates.

    Raises:
        SettingError: if a size is below 1.
        ShapeError: if the mask has another shape.

    Source:
        Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000, in the form of ``torch.nn.LSTMCell``.
        Differs: weights start in U(-k, k) with k = (inputs + units)**-0.5, as those of ``GRUCell`` here; the gates have
        one bias, not two, and that of the forget gate starts at 1 (Jozefowicz et al. 2015), so that a memory lasts a
        few steps from the beginning. The heads are in the order g, i, f, o.
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
        super().__init__(input_size, 2 * units, units, n_seeds=len(generators), is_bounded=True)
        self.heads = fused_heads(input_size, units, 4, generators, mask=mask, init="torch")
        assert self.heads.bias is not None
        with torch.no_grad():
            self.heads.bias[:, 2 * units : 3 * units] = 1.0

    def weights(self) -> Weights:
        """Form the masked gates."""
        return (self.heads.weights(),)

    def step(self, weights: Weights, x: Tensor, h: Tensor, dt: Tensor) -> Tensor:
        """Advance the layer by one input."""
        memory, hidden = h.chunk(2, 2)
        heads = affine(weights[0], torch.cat((x, hidden), 2))
        candidate, gates = heads.split_with_sizes((self.output_size, 3 * self.output_size), 2)
        accept, keep, reveal = torch.sigmoid(gates).chunk(3, 2)
        memory = torch.addcmul(memory * keep, torch.tanh(candidate), accept)
        return torch.cat((memory, torch.tanh(memory) * reveal), 2)
