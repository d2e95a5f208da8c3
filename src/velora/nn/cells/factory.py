"""Build any kind of cell on a wiring, by its short name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from velora.core.errors import SettingError
from velora.nn.cells.base import Cell
from velora.nn.cells.layered import LayeredCell
from velora.nn.cells.ltc import check_wirings
from velora.nn.cells.mixed import MixedMemoryCell
from velora.nn.cells.registry import CELLS, LIQUID_KINDS, CellRow, find_row, is_foreign
from velora.nn.wiring import NCPWiring


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
        kind: a name in :data:`velora.nn.cells.registry.CELLS`, or that of a registered class.
        wirings: one per seed, of equal sizes.
        generators: one per seed, for the initial parameters.
        mode: form of a CfC or leaky cell; see :class:`CfCCell` and :class:`LeakyCell`.
        mixed_memory: whether an LSTM carries the state over long spans; only for cells that take the time.

    Raises:
        SettingError: if the kind or mode is unknown, an option doesn't belong to the kind, or the wirings don't fit.

    Example:
        >>> from velora.nn.wiring import auto_ncp
        >>> cell = make_cell("cfc", [auto_ncp(3, 12, 2)], [torch.Generator().manual_seed(0)])
        >>> cell.state_size, cell.output_size
        (12, 2)
    """
    row = find_row(kind)
    if row is None:
        own = "; register a class of your own with velora.register" if is_foreign(kind) else ""
        raise SettingError(f"cell: expected one of {', '.join(CELLS)}, got {kind!r}{own}")
    if mode != "default" and len(row.modes) == 1:
        with_modes = [name for name, other in CELLS.items() if len(other.modes) > 1]
        raise SettingError(
            f"cell_mode: only {' and '.join(with_modes)} cells have modes, but the cell is {kind!r}; "
            "leave it at 'default'"
        )
    if mixed_memory and not row.takes_time:
        raise SettingError(
            f"mixed_memory: only for {', '.join(LIQUID_KINDS)} cells, but the cell is {kind!r}; leave it false there"
        )
    check_wirings(wirings, len(generators))

    if row.is_circuit:
        cell = row.cell(wirings, generators)
    else:
        per_layer = zip(*[wiring.layer_masks() for wiring in wirings], strict=True)
        masks = [torch.from_numpy(np.stack(layer)) for layer in per_layer]
        cell = LayeredCell([_make_layer(row, mask.shape[2], mask.shape[1], generators, mode, mask) for mask in masks])
    return MixedMemoryCell(cell, generators) if mixed_memory else cell


def make_layer(kind: str, input_size: int, units: int, generators: Sequence[torch.Generator], *, mode: str) -> Cell:
    """Build one fully connected layer of a cell, without a wiring.

    Raises:
        SettingError: if there is no such layer; an LTC is always a circuit.
    """
    row = find_row(kind)
    if row is None or row.is_circuit:
        layers = [name for name, other in CELLS.items() if not other.is_circuit]
        raise SettingError(f"cell: expected one of {', '.join(layers)} for a layer, got {kind!r}")
    return _make_layer(row, input_size, units, generators, mode)


def _make_layer(
    row: CellRow,
    input_size: int,
    units: int,
    generators: Sequence[torch.Generator],
    mode: str,
    mask: Tensor | None = None,
) -> Cell:
    options = {"mode": mode} if len(row.modes) > 1 else {}
    return row.cell(input_size, units, generators, mask=mask, **options)
