"""The description of a trained policy that every target is written from: numbers, sizes and units, without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.envs.actions import ActionBounds, DiscreteActions
from velora.envs.clock import LONGEST, SHORTEST
from velora.kernels.layers import Kind
from velora.kernels.plan import ReadoutKind
from velora.nn.cells.registry import CELLS
from velora.ops.choice import Choice

Floats = NDArray[np.float32]

TIMED = frozenset(kind for row in CELLS.values() if row.takes_time for kind in row.modes.values() if kind is not None)
"""Kinds of layer that read the elapsed time."""
SHORTEST_STEP, LONGEST_STEP = SHORTEST, LONGEST
"""Least and largest dt that a policy takes, in control steps."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of the network.

    Attributes:
        kind: its formula.
        n_in, n: numbers that it reads besides its own state, and its neurons.
        state_at: where its neurons begin in the policy's state; the memory of an LSTM layer lies before them, that of
            an LSTM before the circuit (``Kind.LSTM``) is the state's second half.
        tensors: its parameters by the names in ``kind.value.tensors``, in the shapes of the layer's module without the
            axis of seeds; what the wiring leaves out is exactly zero. The weight of heads is (heads * n, n_in + n), or
            (n, n_in) where a layer has no state. Those of an LTC have been through softplus where its equation has
            that: (n,) ``leak``, ``vleak``, ``capacity``; (n_in,) ``input_w``, ``input_b``; of synapses (from, to)
            ``sigma``, ``mu``, ``strength``, ``erev``, (n, n), and the same names after ``sensory_``, (n_in, n); the
            strength of a missing synapse is 0.
        unfolds: sub-steps of an LTC.
    """

    kind: Kind
    n_in: int
    n: int
    state_at: int
    tensors: Mapping[str, Floats]
    unfolds: int = 1


@dataclass(frozen=True, slots=True)
class Readout:
    """What the network puts out.

    Attributes:
        kind: a part of the state, that scaled and shifted (``weight`` and ``bias`` are (n_out,)), or a linear map of it
            (``weight`` is (n_out, n_in)).
        state_at, n_in, n_out: the numbers ``state_at`` to ``state_at + n_in`` of the new state become ``n_out``.
        squash: put tanh after it.
    """

    kind: ReadoutKind
    state_at: int
    n_in: int
    n_out: int
    weight: Floats | None = None
    bias: Floats | None = None
    squash: bool = False


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Bring observations to one size first: ``clip((obs - mean) * factor, -most, most)``.

    Shapes:
        mean, factor: (n_observations,).
    """

    mean: Floats
    factor: Floats
    most: float


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a policy comes from.

    Attributes:
        agent: name of the agent's class.
        cell: the settings ``cell`` and ``cell_mode`` in words, with mixed memory where there is one.
        environment: identifier of the environment last trained on; empty if there was none.
        digest: SHA-256 of the checkpoint's metadata, which holds those of its files; empty for an agent in memory.
        velora_version: that wrote the description.
        wrappers: around that environment, from the inside out, as the checkpoint has them: ``name``, ``kwargs``, and
            ``statistics`` of those that keep some. The policy sees what comes out of the last one.
        missing: a line for each part of the environment that a checkpoint can't hold, such as a wrapper that is code.
    """

    agent: str
    cell: str
    environment: str
    digest: str
    velora_version: str
    wrappers: Sequence[Mapping[str, Any]] = ()
    missing: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy whole: ``action, next_state = step(observation, state, dt)``, in the environment's units.

    One step is: normalise the observation; append log(dt), if ``reads_log_dt``; compute the layers, each reading the
    new state of the layer before (the first, and the layer after a ``Kind.LSTM``, reads the input); read the output off
    the new state; choose the action; bring it to the environment's units. :mod:`velora.export.replay` is the same in
    NumPy.
    A state begins as zeros.

    Attributes:
        n_observations: numbers of an observation, without the time.
        n_state: numbers of the recurrent state.
        layers: in the order in which they are computed.
        choice: how the action follows from the output.
        units: the environment's units of actions.
        normalisation: of observations; ``None`` for none.
        reads_log_dt: whether log(dt) is one more input, after the observation.
        tells_time: whether the layers are told dt; where they aren't, they compute with a dt of 1.
    """

    n_observations: int
    n_state: int
    layers: tuple[Layer, ...]
    readout: Readout
    choice: Choice
    units: ActionBounds | DiscreteActions
    origin: Origin
    normalisation: Normalisation | None = None
    reads_log_dt: bool = False
    tells_time: bool = True

    @property
    def n_inputs(self) -> int:
        """Numbers that the network reads."""
        return self.n_observations + self.reads_log_dt

    @property
    def n_actions(self) -> int:
        """Numbers of an action; a discrete one is one whole number."""
        return 1 if self.is_discrete else self.readout.n_out

    @property
    def is_discrete(self) -> bool:
        """Return whether an action is the number of a choice."""
        return self.choice is Choice.LARGEST

    @property
    def reads_dt(self) -> bool:
        """Return whether the elapsed time changes anything."""
        return self.reads_log_dt or (self.tells_time and any(layer.kind in TIMED for layer in self.layers))

    @property
    def has_memory(self) -> bool:
        """Return whether a step depends on the one before."""
        return any(layer.kind.has_state for layer in self.layers)

    @property
    def n_weights(self) -> int:
        """Parameters that aren't zero."""
        arrays = [array for layer in self.layers for array in layer.tensors.values()]
        arrays += [array for array in (self.readout.weight, self.readout.bias) if array is not None]
        return sum(int(np.count_nonzero(array)) for array in arrays)
