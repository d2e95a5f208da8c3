"""Recurrent cells behind one interface: (input, state, elapsed time) -> state."""

from velora.nn.cells.backbone import BackboneSettings
from velora.nn.cells.base import Cell, Weights
from velora.nn.cells.cfc import CfCCell, CfCMode
from velora.nn.cells.factory import CELL_KINDS, LIQUID_KINDS, make_cell
from velora.nn.cells.gru import GRUCell
from velora.nn.cells.layered import LayeredCell
from velora.nn.cells.leaky import LeakyCell, LeakyMode
from velora.nn.cells.lstm import LSTMCell
from velora.nn.cells.ltc import LTCCell
from velora.nn.cells.memoryless import MemorylessCell
from velora.nn.cells.mixed import MixedMemoryCell

__all__ = [
    "CELL_KINDS",
    "LIQUID_KINDS",
    "BackboneSettings",
    "Cell",
    "CfCCell",
    "CfCMode",
    "GRUCell",
    "LSTMCell",
    "LTCCell",
    "LayeredCell",
    "LeakyCell",
    "LeakyMode",
    "MemorylessCell",
    "MixedMemoryCell",
    "Weights",
    "make_cell",
]
