"""Mixed memory: an LSTM that carries information over long spans for a liquid cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from velora.core.errors import SettingError
from velora.nn.cells.base import Cell, Weights
from velora.nn.parameters import blank, stack_seeds, uniform


@final
class MixedMemoryCell(Cell):
    """Let an LSTM update the state and a memory first, then let the liquid cell advance that state.

    ::

        h, c = lstm(x, (h, c));  h = cell(x, h, dt)

    The state is concat(h, c), twice the liquid cell's. The LSTM reads every input and every neuron, so a wiring
    limits the liquid cell only, not the way through the memory.

    Args:
        cell: the liquid cell, which also gives the readout.
        generators: one per seed, for the LSTM.

    Raises:
        SettingError: if there are not as many generators as the cell has seeds.

    Source:
        Lechner & Hasani 2020, "Learning long-term dependencies in irregularly-sampled time series"; ``LSTMCell`` of
        ncps 1.0.1: input weights Xavier, recurrent weights orthogonal, biases U(-0.1, 0.1). Differs: the 1 that ncps
        adds to the forget gate in every step is part of its trainable bias from the start, which is the same function.
    """

    def __init__(self, cell: Cell, generators: Sequence[torch.Generator]) -> None:
        inputs, units = cell.input_size, cell.state_size
        super().__init__(inputs, 2 * units, cell.output_size, n_seeds=cell.n_seeds, is_bounded=cell.is_bounded)
        if len(generators) != cell.n_seeds:
            raise SettingError(f"generators: expected one per seed ({cell.n_seeds}), got {len(generators)}")
        self.cell = cell
        limit = (6.0 / (inputs + 4 * units)) ** 0.5

        def draw(generator: torch.Generator) -> Tensor:
            recurrent = nn.init.orthogonal_(blank(4 * units, units), generator=generator)
            return torch.cat([uniform((4 * units, inputs), -limit, limit, generator), recurrent], 1)

        self.weight = stack_seeds(generators, draw)
        self.bias = stack_seeds(generators, lambda g: uniform((4 * units,), -0.1, 0.1, g))
        with torch.no_grad():
            self.bias[:, 2 * units : 3 * units] += 1.0

    def weights(self) -> Weights:
        """Form the LSTM's map and the liquid cell's weights."""
        return self.weight.mT, self.bias.unsqueeze(1), self.cell.weights()

    def step(self, weights: Weights, x: Tensor, h: Tensor, dt: Tensor) -> Tensor:
        """Advance memory and liquid state by one input."""
        weight, bias, cell_weights = weights
        units = self.cell.state_size
        state, memory = h.chunk(2, 2)
        candidate, gates = torch.baddbmm(bias, torch.cat((x, state), 2), weight).split_with_sizes((units, 3 * units), 2)
        accept, keep, reveal = torch.sigmoid(gates).chunk(3, 2)
        memory = torch.addcmul(memory * keep, torch.tanh(candidate), accept)
        state = self.cell.step(cell_weights, x, torch.tanh(memory) * reveal, dt)
        return torch.cat((state, memory), 2)

    def readout(self, h: Tensor) -> Tensor:
        """Return the liquid cell's readout of the first half of the state."""
        return self.cell.readout(h[..., : self.cell.state_size])
