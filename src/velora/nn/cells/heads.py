"""Several linear heads that read (input, state), fused into one product, with the wiring's mask on every head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from velora.core.errors import ShapeError
from velora.nn.linear import Linear


def fused_heads(
    input_size: int,
    units: int,
    n_heads: int,
    generators: Sequence[torch.Generator],
    *,
    mask: Tensor | None = None,
    init: Literal["torch", "xavier"] = "xavier",
) -> Linear:
    """Make one map from concat(input, state) to the heads, stacked one after another.

    The mask says which inputs each neuron reads and holds for every head; recurrence inside a layer is dense, as in
    ncps.

    Shapes:
        mask: (S, units, input_size). The map's weight: (S, n_heads * units, input_size + units).

    Raises:
        ShapeError: if the mask has another shape.

    Source:
        ``WiredCfCCell`` of ncps 1.0.1. Differs: ncps masks ff1 and ff2 only, so its time heads let inputs through
        that the wiring does not connect.
    """
    full = None
    if mask is not None:
        check_mask(mask, len(generators), units, input_size)
        recurrent = mask.new_ones(len(generators), units, units)
        full = torch.cat([mask, recurrent], dim=2).repeat(1, n_heads, 1)
    return Linear(input_size + units, n_heads * units, generators=generators, mask=full, init=init, n_heads=n_heads)


def gated_heads(
    input_size: int, units: int, generators: Sequence[torch.Generator], *, mask: Tensor | None = None
) -> Linear:
    """Make the four heads of a cell with a reset gate, in one product: reset, update, W x + b and U h + c.

    The first two read input and state, the third the input alone and the fourth the state alone, so that the reset can
    come between the last two. Masks keep those apart, and the wiring's mask holds for all that read the input.

    Shapes:
        mask: (S, units, input_size). The map's weight: (S, 4 * units, input_size + units).

    Raises:
        ShapeError: if the mask has another shape.
    """
    n_seeds = len(generators)
    reads = torch.ones(n_seeds, units, input_size, dtype=torch.bool, device="cpu") if mask is None else mask != 0
    check_mask(reads, n_seeds, units, input_size)
    recurs = reads.new_ones(n_seeds, units, units)
    gate = torch.cat([reads, recurs], 2)
    from_input = torch.cat([reads, ~recurs], 2)
    from_state = torch.cat([torch.zeros_like(reads), recurs], 2)
    full = torch.cat([gate, gate, from_input, from_state], 1)
    return Linear(input_size + units, 4 * units, generators=generators, mask=full)


def check_mask(mask: Tensor, n_seeds: int, units: int, input_size: int) -> None:
    """Refuse a layer's mask of the wrong shape.

    Raises:
        ShapeError: if it isn't (S, units, input_size).
    """
    if mask.shape != (n_seeds, units, input_size):
        raise ShapeError(
            f"mask: expected (seeds, units, inputs) = {(n_seeds, units, input_size)}, got {tuple(mask.shape)}"
        )
