"""Where the state of a quantised policy lies in C."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from velora.export.quantise.description import Quantised
from velora.kernels.layers import Kind


@dataclass(frozen=True, slots=True)
class Memory:
    """Where layers keep their state in C: neurons as 16 bits, the memories of an LSTM as 32.

    Attributes:
        neurons, memories: how many there are.
        neuron_at, memory_at: for each layer where its own begin.
        places: for each number of the policy's state, whether it is a memory, and its place among those of its size.
    """

    neurons: int
    memories: int
    neuron_at: tuple[int, ...]
    memory_at: tuple[int, ...]
    places: tuple[tuple[bool, int], ...]


def memory_of(quantised: Quantised) -> Memory:
    """Lay out the state."""
    is_memory = np.zeros(quantised.policy.n_state, bool)
    for layer in quantised.layers:
        if layer.kind in (Kind.LSTM, Kind.LSTM_LAYER):
            begin = layer.n if layer.kind is Kind.LSTM else layer.state_at - layer.n
            is_memory[begin : begin + layer.n] = True
    place = np.where(is_memory, np.cumsum(is_memory), np.cumsum(~is_memory)) - 1
    neuron_at = tuple(0 if one.kind is Kind.LSTM else int(place[one.state_at]) for one in quantised.layers)
    memory_at = tuple(
        int(place[one.n if one.kind is Kind.LSTM else one.state_at - one.n])
        if one.kind in (Kind.LSTM, Kind.LSTM_LAYER)
        else 0
        for one in quantised.layers
    )
    places = tuple((bool(a), int(b)) for a, b in zip(is_memory, place, strict=True))
    return Memory(int((~is_memory).sum()), int(is_memory.sum()), neuron_at, memory_at, places)
