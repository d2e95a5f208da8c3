"""Modules with parameters, stacked over seeds: linear layers, wirings, cells, unrolling and networks."""

from velora.nn.cells import CELL_KINDS, Cell, make_cell
from velora.nn.critics import QNetwork
from velora.nn.linear import Linear
from velora.nn.policies import LiquidActor
from velora.nn.sequence import unroll
from velora.nn.wiring import NCPWiring, auto_ncp, ncp
from velora.nn.wirings import WIRING_KINDS, make_wiring

__all__ = [
    "CELL_KINDS",
    "WIRING_KINDS",
    "Cell",
    "Linear",
    "LiquidActor",
    "NCPWiring",
    "QNetwork",
    "auto_ncp",
    "make_cell",
    "make_wiring",
    "ncp",
    "unroll",
]
