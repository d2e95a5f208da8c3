"""Layers of cells that make one step together: the inter, command and motor neurons of a circuit."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn

from velora.core.errors import SettingError
from velora.nn.cells.base import Cell, Weights


@final
class LayeredCell(Cell):
    """Stack cells: each reads the *new* output of the one before, all within one step.

    The state is the layers' states side by side, first layer first, and the readout is the last layer's.

    Args:
        layers: at least one cell; each must read what the one before puts out.

    Raises:
        SettingError: if there is no layer, or two neighbours don't fit together.

    Source:
        ``WiredCfCCell`` of ncps 1.0.1, for any kind of layer.
    """

    def __init__(self, layers: Sequence[Cell]) -> None:
        if not layers:
            raise SettingError("layers: expected at least one cell, got none")
        for before, after in pairwise(layers):
            if (before.output_size, before.n_seeds) != (after.input_size, after.n_seeds):
                raise SettingError(
                    f"layers: one puts out {before.output_size} features for {before.n_seeds} seeds, but the next "
                    f"reads {after.input_size} for {after.n_seeds}"
                )
        last = layers[-1]
        super().__init__(
            layers[0].input_size,
            sum(layer.state_size for layer in layers),
            last.output_size,
            n_seeds=last.n_seeds,
            is_bounded=last.is_bounded,
        )
        self.layers = nn.ModuleList(layers)
        self.state_sizes = tuple(layer.state_size for layer in layers)
        # The same cells once more: iterating over a ModuleList costs several times as much, in every step.
        self._cells = tuple(layers)

    def weights(self) -> Weights:
        """Form the weights of every layer."""
        return tuple(cell.weights() for cell in self._cells)

    def step(self, weights: Weights, x: Tensor, h: Tensor, dt: Tensor) -> Tensor:
        """Advance all layers by one input, from the first to the last."""
        states = []
        for cell, layer_weights, state in zip(
            self._cells, weights, h.split_with_sizes(self.state_sizes, 2), strict=True
        ):
            state = cell.step(layer_weights, x, state, dt)
            states.append(state)
            x = cell.readout(state)
        return torch.cat(states, 2)
