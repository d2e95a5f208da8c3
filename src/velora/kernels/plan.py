"""Describe a network to whatever computes it: layers, where their parameters lie, and what is read off the state."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from velora.kernels.layers import Kind


class ReadoutKind(IntEnum):
    """How the output follows from the state: a part of it, that scaled and shifted, or a linear map of it."""

    SLICE = 0
    AFFINE = 1
    LINEAR = 2


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer.

    Attributes:
        n_in, n: features that it reads besides its own state, and its neurons.
        state_at: where its neurons begin in the network's state; those of an LSTM layer come after their memories.
        at: where its tensors begin in the parameters of one seed, in the order of ``kind.value.tensors``.
        unfolds: sub-steps of an LTC.
    """

    kind: Kind
    n_in: int
    n: int
    state_at: int
    at: tuple[int, ...]
    unfolds: int = 1

    def begin(self, tensor: str) -> int:
        """Return where a tensor begins, by its name."""
        return self.at[self.kind.value.tensors.index(tensor)]


@dataclass(frozen=True, slots=True)
class Readout:
    """Output of a network: how it follows from the state.

    Attributes:
        state_at, n_in, n_out: the numbers ``state_at`` to ``state_at + n_in`` of the state become ``n_out``.
        weight, bias: where they begin in the parameters of one seed, if there are any.
        squash: put tanh after it.
    """

    kind: ReadoutKind
    state_at: int
    n_in: int
    n_out: int
    weight: int = 0
    bias: int = 0
    squash: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole network. Each layer reads the new state of the one before; the first, and the layer after an LSTM, reads
    the observation. An LSTM comes first, and what it reveals is the old state of all layers after it; an LSTM_LAYER is
    one as the others, with a state of its own.

    Attributes:
        n_parameters: numbers in the parameters of one seed.
        state_size: numbers in the state; an LSTM's memory is its second half.
        has_memory: ``False`` makes every step begin from a state of zeros.
    """

    n_parameters: int
    state_size: int
    layers: tuple[Layer, ...]
    readout: Readout
    has_memory: bool = True

    @property
    def mixes_memory(self) -> bool:
        """Return whether an LSTM comes first."""
        return self.layers[0].kind is Kind.LSTM

    @property
    def n_inputs(self) -> int:
        """Features of an observation."""
        return self.layers[0].n_in
