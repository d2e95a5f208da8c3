"""What the heads of each kind of layer are read as: binary places, and which of them are there."""

from __future__ import annotations

from velora.core.errors import ExportError
from velora.export.policy import Layer, Policy
from velora.export.quantise.arithmetic import SUM_BITS, TIME_BITS
from velora.kernels.layers import Kind

GATE, TWICE = 1 << SUM_BITS, 2 << SUM_BITS
"""A number that a sigmoid reads, and one that a tanh reads, which is made of the sigmoid of twice that."""
RATE = 1 << TIME_BITS
"""A number that the elapsed time multiplies."""

HEADS: dict[Kind, tuple[int, ...]] = {
    Kind.CFC: (TWICE, TWICE, RATE, GATE),
    Kind.CFC_NO_GATE: (TWICE, TWICE, RATE, GATE),
    Kind.CFC_PURE: (GATE,),
    Kind.GRU: (GATE, GATE, GATE, GATE),
    Kind.GRU_D: (GATE, GATE, GATE, GATE),
    Kind.LEAKY: (GATE, GATE, GATE, GATE),
    Kind.LEAKY_NO_RESET: (GATE, TWICE),
    Kind.TANH: (TWICE,),
    Kind.LSTM: (TWICE, GATE, GATE, GATE),
    Kind.LSTM_LAYER: (TWICE, GATE, GATE, GATE),
}
"""One in whole numbers, of every head; that of ``Kind.RELU`` is one of its state."""
MERGED = (TWICE, TWICE, GATE)
"""The same of a CfC that isn't told the time: its gate reads c + d."""


def scales(layer: Layer, policy: Policy, state_bits: int) -> tuple[int, ...]:
    """Return one in whole numbers, of every head of a layer."""
    if layer.kind is Kind.RELU:
        return (1 << state_bits,)
    return MERGED if is_merged(layer, policy) else HEADS[layer.kind]


def is_merged(layer: Layer, policy: Policy) -> bool:
    """Return whether c + d of a CfC is one head."""
    return layer.kind in (Kind.CFC, Kind.CFC_NO_GATE) and not policy.tells_time


def check(policy: Policy) -> None:
    """Check that every layer has a form in whole numbers.

    Raises:
        ExportError: if one hasn't.
    """
    if any(layer.kind not in HEADS and layer.kind is not Kind.RELU for layer in policy.layers):
        raise ExportError(
            f"dtype=int8: the cell {policy.origin.cell} solves an equation in small steps, which whole numbers don't "
            "follow; export it with dtype=float32, or train another cell"
        )
