"""Modules with parameters, stacked over seeds: linear layers, wirings, cells, unrolling and networks."""

from velora.nn.cells import CELL_KINDS, Cell, make_cell
from velora.nn.linear import Linear
from velora.nn.networks.critics import QNetwork
from velora.nn.networks.policies import LiquidActor
from velora.nn.sequence import unroll
from velora.nn.wiring import WIRING_KINDS, NCPWiring, auto_ncp, make_wiring, ncp

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
