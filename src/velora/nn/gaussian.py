"""A stochastic liquid policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from velora.nn.cells.base import Cell
from velora.nn.cells.mixed import MixedMemoryCell
from velora.nn.execution import joined
from velora.nn.linear import Linear
from velora.nn.plan import liquid_head_plan
from velora.nn.sequence import unroll
from velora.ops.plan import Plan


@final
class LiquidGaussian(nn.Module):
    """Say by a recurrent cell how actions are distributed: two numbers for each, see :mod:`velora.ops.gaussian`.

    A linear map reads them off all neurons, since a motor neuron of a CfC is bounded, and a mean before the tanh isn't.

    Args:
        cell: reads observations, with one motor neuron per action. The memory of a mixed-memory cell isn't read.
        generators: one per seed, for the linear map.
    """

    has_memory = True

    def __init__(self, cell: Cell, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.cell = cell
        self.n_read = cell.cell.state_size if isinstance(cell, MixedMemoryCell) else cell.state_size
        self.head = Linear(self.n_read, 2 * cell.output_size, generators=generators)

    def unroll(
        self, sources: tuple[Tensor, ...], hidden: Tensor | None, dt: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Run along sequences, as :class:`velora.nn.execution.Network` asks it to; the output is (S, B, T, 2A)."""
        obs = joined(sources)
        hidden = self.initial_state(obs.shape[1]) if hidden is None else hidden
        states, last = unroll(self.cell, obs, hidden, torch.ones(obs.shape[:3]).to(obs) if dt is None else dt, resets)
        out = self.head(states[..., : self.n_read].flatten(1, 2))
        return out.view(*obs.shape[:3], -1), states, last

    def plan(self) -> Plan | None:
        """Describe the policy to what computes it."""
        return liquid_head_plan(self, self.cell, self.head)

    def initial_state(self, batch: int) -> Tensor:
        """Return the hidden state at an episode's start, zeros (S, batch, H)."""
        return self.cell.initial_state(batch)
