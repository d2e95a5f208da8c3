"""Policies: recurrent cells whose neurons are the action, or that a linear map reads it off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from velora.kernels.plan import Plan
from velora.nn.cells.base import Cell
from velora.nn.cells.layered import LayeredCell
from velora.nn.cells.lstm import LSTMCell
from velora.nn.cells.mixed import MixedMemoryCell
from velora.nn.linear import Linear
from velora.nn.parameters import full
from velora.nn.run.describe import cell_plan, liquid_head_plan
from velora.nn.run.network import joined
from velora.nn.sequence import unroll


@final
class LiquidActor(nn.Module):
    """Act by a recurrent cell: its readout is the action, in [-1, 1].

    A cell whose readout may leave [-1, 1] goes through tanh; a bounded one is used as it is, so that the motor
    neurons are the action.

    Args:
        cell: reads observations, puts out one number per action.
    """

    has_memory = True

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def states(self, obs: Tensor, hidden: Tensor, dt: Tensor, resets: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the hidden state after every step (S, B, T, H), and after the last one (S, B, H).

        Shapes:
            obs: (S, B, T, O). hidden: (S, B, H). dt and resets: (S, B, T), see :func:`velora.nn.sequence.unroll`.

        Raises:
            ShapeError: if a tensor isn't shaped as above.
        """
        return unroll(self.cell, obs, hidden, dt, resets)

    def actions(self, states: Tensor) -> Tensor:
        """Read the actions (S, ..., A) off hidden states (S, ..., H)."""
        readout = self.cell.readout(states)
        return readout if self.cell.is_bounded else torch.tanh(readout)

    def unroll(
        self, sources: tuple[Tensor, ...], hidden: Tensor | None, dt: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Act along sequences, as :class:`velora.nn.run.network.Network` asks it to."""
        obs = joined(sources)
        hidden = self.initial_state(obs.shape[1]) if hidden is None else hidden
        states, last = self.states(obs, hidden, obs.new_ones(obs.shape[:3]) if dt is None else dt, resets)
        return self.actions(states), states, last

    def plan(self) -> Plan | None:
        """Describe the actor to what computes it."""
        return cell_plan(self.cell, squash=not self.cell.is_bounded, module=self, prefix="cell.")

    def initial_state(self, batch: int) -> Tensor:
        """Return the hidden state at an episode's start, zeros (S, batch, H)."""
        return self.cell.initial_state(batch)


@final
class LiquidHead(nn.Module):
    """Read any numbers off all neurons of a recurrent cell, such as how actions are distributed.

    A linear map does it, since a motor neuron of a CfC is bounded; the readout of the cell itself isn't used.

    Shapes:
        log_std: (S, n_outputs), a free parameter beside the circuit; ``None`` without one.

    Args:
        cell: reads observations. Memory isn't read: not that of a mixed-memory cell, and of an LSTM only the motor
            neurons are.
        n_outputs: numbers to put out.
        generators: one per seed, for the linear map.
        gain: factor on the first weights of the linear map; a small one begins with outputs near zero.
        log_std: what the free parameter begins with; ``None`` for none.
    """

    has_memory = True

    def __init__(
        self,
        cell: Cell,
        n_outputs: int,
        generators: Sequence[torch.Generator],
        *,
        gain: float = 1.0,
        log_std: float | None = None,
    ) -> None:
        super().__init__()
        self.cell = cell
        self.reads = _neurons(cell)
        self.head = Linear(self.reads.stop - self.reads.start, n_outputs, generators=generators)
        with torch.no_grad():
            for parameter in self.head.parameters():
                parameter.mul_(gain)
        self.log_std = None if log_std is None else full(len(generators), n_outputs, value=log_std)

    def unroll(
        self, sources: tuple[Tensor, ...], hidden: Tensor | None, dt: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Respond along sequences, as :class:`velora.nn.run.network.Network` asks it to."""
        obs = joined(sources)
        hidden = self.initial_state(obs.shape[1]) if hidden is None else hidden
        states, last = unroll(self.cell, obs, hidden, obs.new_ones(obs.shape[:3]) if dt is None else dt, resets)
        out: Tensor = self.head(states[..., self.reads].flatten(1, 2))
        return out.view(*obs.shape[:3], -1), states, last

    def plan(self) -> Plan | None:
        """Describe the network to what computes it."""
        return liquid_head_plan(self, self.cell, self.head, read_at=self.reads.start)

    def initial_state(self, batch: int) -> Tensor:
        """Return the hidden state at an episode's start, zeros (S, batch, H)."""
        return self.cell.initial_state(batch)


def _neurons(cell: Cell) -> slice:
    """Find the neurons in a cell's state that lie side by side: all, or the motor neurons where memory lies between."""
    if isinstance(cell, MixedMemoryCell):
        return slice(0, cell.cell.state_size)
    has_memory = isinstance(cell, LayeredCell) and any(isinstance(layer, LSTMCell) for layer in cell.layers)
    return slice(cell.state_size - cell.output_size if has_memory else 0, cell.state_size)
