"""Recurrent cells behind one interface: (input, state, elapsed time) -> state."""

from typing import TYPE_CHECKING

from velora.core.lazy import on_demand
from velora.nn.cells.registry import CELL_KINDS, CELL_MODES, CELLS, LIQUID_KINDS

if TYPE_CHECKING:
    from velora.nn.cells.backbone import BackboneSettings
    from velora.nn.cells.base import Cell, Weights
    from velora.nn.cells.cfc import CfCCell, CfCMode
    from velora.nn.cells.factory import make_cell, make_layer
    from velora.nn.cells.gru import GRUCell
    from velora.nn.cells.gru_d import GRUDCell
    from velora.nn.cells.heads import fused_heads
    from velora.nn.cells.layered import LayeredCell
    from velora.nn.cells.leaky import LeakyCell, LeakyMode
    from velora.nn.cells.lstm import LSTMCell
    from velora.nn.cells.ltc import LTCCell
    from velora.nn.cells.memoryless import MemorylessCell
    from velora.nn.cells.mixed import MixedMemoryCell

_PLACES = {
    "BackboneSettings": "backbone",
    "Cell": "base",
    "CfCMode": "cfc",
    "LayeredCell": "layered",
    "LeakyMode": "leaky",
    "MixedMemoryCell": "mixed",
    "Weights": "base",
    "fused_heads": "heads",
    "make_cell": "factory",
    "make_layer": "factory",
    **{row.place[1]: row.place[0] for row in CELLS.values()},
}

__all__ = [
    "CELLS",
    "CELL_KINDS",
    "CELL_MODES",
    "LIQUID_KINDS",
    "BackboneSettings",
    "Cell",
    "CfCCell",
    "CfCMode",
    "GRUCell",
    "GRUDCell",
    "LSTMCell",
    "LTCCell",
    "LayeredCell",
    "LeakyCell",
    "LeakyMode",
    "MemorylessCell",
    "MixedMemoryCell",
    "Weights",
    "fused_heads",
    "make_cell",
    "make_layer",
]
__getattr__, __dir__ = on_demand(__name__, _PLACES)
