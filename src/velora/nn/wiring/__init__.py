"""Sparse circuits of inter, command and motor neurons, and the choice of one by its name."""

from velora.nn.wiring.circuit import BoolArray, IntArray, NCPWiring, auto_ncp, ncp
from velora.nn.wiring.kinds import WIRING_KINDS, make_wiring

__all__ = ["WIRING_KINDS", "BoolArray", "IntArray", "NCPWiring", "auto_ncp", "make_wiring", "ncp"]
