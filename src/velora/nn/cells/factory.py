"""Build any kind of cell on a wiring, by its short name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from velora.core.errors import SettingError
from velora.nn.cells.base import Cell
from velora.nn.cells.cfc import CfCCell, CfCMode
from velora.nn.cells.gru import GRUCell
from velora.nn.cells.layered import LayeredCell
from velora.nn.cells.leaky import LeakyCell, LeakyMode
from velora.nn.cells.lstm import LSTMCell
from velora.nn.cells.ltc import LTCCell, check_wirings
from velora.nn.cells.memoryless import MemorylessCell
from velora.nn.cells.mixed import MixedMemoryCell
from velora.nn.wiring import NCPWiring

CELL_KINDS = ("cfc", "ltc", "leaky", "gru", "lstm", "memoryless")
LIQUID_KINDS = ("cfc", "ltc", "leaky")
"""Those that take the time in their gates; the others hear of it only where it is an input."""
_KINDS_WITH_MODES = ("cfc", "leaky")


def make_cell(
    kind: str,
    wirings: Sequence[NCPWiring],
    generators: Sequence[torch.Generator],
    *,
    mode: str = "default",
    mixed_memory: bool = False,
) -> Cell:
    """Build a cell for S seeds on neural circuit policies.

    An LTC is one set of equations over all neurons; all other circuits are three layers (inter, command, motor) in one
    step. Either way the readout has one number per motor neuron.

    Args:
        kind: ``"cfc"``, ``"ltc"``, ``"leaky"``, ``"gru"``, ``"lstm"`` or ``"memoryless"``.
        wirings: one per seed, of equal sizes.
        generators: one per seed, for the initial parameters.
        mode: form of a CfC or leaky cell; see :class:`CfCCell` and :class:`LeakyCell`.
        mixed_memory: whether an LSTM carries the state over long spans; only for the liquid cells, the first three.

    Raises:
        SettingError: if the kind or mode is unknown, an option doesn't belong to the kind, or the wirings don't fit.

    Example:
        >>> from velora.nn.wiring import auto_ncp
        >>> cell = make_cell("cfc", [auto_ncp(3, 12, 2)], [torch.Generator().manual_seed(0)])
        >>> cell.state_size, cell.output_size
        (12, 2)
    """
    if kind not in CELL_KINDS:
        raise SettingError(f"cell: expected one of {', '.join(CELL_KINDS)}, got {kind!r}")
    if mode != "default" and kind not in _KINDS_WITH_MODES:
        raise SettingError(
            f"cell_mode: only {' and '.join(_KINDS_WITH_MODES)} cells have modes, but the cell is {kind!r}; "
            "leave it at 'default'"
        )
    if mixed_memory and kind not in LIQUID_KINDS:
        raise SettingError(
            f"mixed_memory: only for {', '.join(LIQUID_KINDS)} cells, but the cell is {kind!r}; leave it false there"
        )
    check_wirings(wirings, len(generators))

    cell = LTCCell(wirings, generators) if kind == "ltc" else LayeredCell(_layers(kind, wirings, generators, mode))
    return MixedMemoryCell(cell, generators) if mixed_memory else cell


def make_layer(kind: str, input_size: int, units: int, generators: Sequence[torch.Generator], *, mode: str) -> Cell:
    """Build one fully connected layer of a cell, without a wiring.

    Raises:
        SettingError: if there is no such layer; an LTC is always a circuit.
    """
    makers = _makers(generators, mode)
    if kind not in makers:
        raise SettingError(f"cell: expected one of {', '.join(makers)} for a layer, got {kind!r}")
    return makers[kind](input_size, units, None)


def _layers(kind: str, wirings: Sequence[NCPWiring], generators: Sequence[torch.Generator], mode: str) -> list[Cell]:
    make = _makers(generators, mode)
    per_layer = zip(*[wiring.layer_masks() for wiring in wirings], strict=True)
    masks = [torch.from_numpy(np.stack(layer)) for layer in per_layer]
    return [make[kind](mask.shape[2], mask.shape[1], mask) for mask in masks]


def _makers(generators: Sequence[torch.Generator], mode: str) -> dict[str, Callable[[int, int, Tensor | None], Cell]]:
    return {
        "cfc": lambda n, m, mask: CfCCell(n, m, generators, mode=cast(CfCMode, mode), mask=mask),
        "leaky": lambda n, m, mask: LeakyCell(n, m, generators, mode=cast(LeakyMode, mode), mask=mask),
        "gru": lambda n, m, mask: GRUCell(n, m, generators, mask=mask),
        "lstm": lambda n, m, mask: LSTMCell(n, m, generators, mask=mask),
        "memoryless": lambda n, m, mask: MemorylessCell(n, m, generators, mask=mask),
    }
