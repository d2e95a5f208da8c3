"""Modules with parameters, stacked over seeds: linear layers, wirings, cells, unrolling and networks."""

from typing import TYPE_CHECKING

from velora.core.lazy import on_demand

if TYPE_CHECKING:
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
__getattr__, __dir__ = on_demand(
    __name__,
    {
        **dict.fromkeys(("CELL_KINDS", "Cell", "make_cell"), "cells"),
        **dict.fromkeys(("WIRING_KINDS", "NCPWiring", "auto_ncp", "make_wiring", "ncp"), "wiring"),
        "Linear": "linear",
        "LiquidActor": "networks.policies",
        "QNetwork": "networks.critics",
        "unroll": "sequence",
    },
)
