"""Critics: what tells how good observations and actions are, dense, liquid or with a memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from velora.core.errors import SettingError, ShapeError
from velora.kernels.plan import Plan
from velora.nn.cells.base import Cell
from velora.nn.linear import Linear
from velora.nn.run.describe import dense_plan, liquid_head_plan, recurrent_value_plan
from velora.nn.run.network import joined
from velora.nn.sequence import unroll


@final
class ValueNetwork(nn.Module):
    """Estimate the return of an observation, or that of each choice there, with a dense ReLU network.

    Args:
        obs_dim: features of the observation, O.
        n_values: numbers to put out.
        units: neurons of each hidden layer.
        generators: one per seed.
    """

    has_memory = False

    def __init__(
        self, obs_dim: int, n_values: int = 1, *, units: Sequence[int], generators: Sequence[torch.Generator]
    ) -> None:
        super().__init__()
        self.sizes = sizes = [obs_dim, *units, n_values]
        self.layers = _dense(sizes, generators)

    def unroll(
        self, sources: tuple[Tensor, ...], hidden: Tensor | None, dt: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Estimate the values of every step, as :class:`velora.nn.run.network.Network` asks it to."""
        obs = joined(sources)
        return _through(self.layers, obs.flatten(1, 2)).view(*obs.shape[:3], -1), None, None

    def plan(self) -> Plan | None:
        """Describe the network to what computes it."""
        return dense_plan(self, self.sizes, [f"layers.{i}" for i in range(len(self.layers))])


@final
class QNetwork(nn.Module):
    """Estimate the return of an observation and an action with a dense ReLU network.

    It is not liquid on purpose: the readout of a CfC lies in [-1, 1] and can't follow the range of Q, and only the
    policy has to be small.

    Args:
        obs_dim: features of the observation, O.
        action_dim: features of the action, A.
        units: neurons of each hidden layer.
        generators: one per seed.

    Raises:
        SettingError: if a size is below 1 or there is no generator.
    """

    has_memory = False

    def __init__(
        self,
        obs_dim: int,
        action_dim: int,
        *,
        units: Sequence[int] = (64, 64),
        generators: Sequence[torch.Generator],
    ) -> None:
        super().__init__()
        if min(obs_dim, action_dim, *units) < 1:
            raise SettingError(
                f"QNetwork: expected sizes >= 1, got obs_dim={obs_dim}, action_dim={action_dim}, units={tuple(units)}"
            )
        self.n_seeds, self.obs_dim, self.action_dim = len(generators), obs_dim, action_dim
        self.sizes = sizes = [obs_dim + action_dim, *units, 1]
        self.layers = _dense(sizes, generators)

    def forward(self, obs: Tensor, action: Tensor) -> Tensor:
        """Estimate Q of every row.

        Shapes:
            obs: (S, N, O). action: (S, N, A). Returns (S, N).

        Raises:
            ShapeError: if a tensor isn't shaped as above.
        """
        rows = (self.n_seeds, *obs.shape[1:2])
        if obs.shape != (*rows, self.obs_dim) or action.shape != (*rows, self.action_dim):
            raise ShapeError(
                f"QNetwork: expected obs ({self.n_seeds}, N, {self.obs_dim}) and action ({self.n_seeds}, N, "
                f"{self.action_dim}), got {tuple(obs.shape)} and {tuple(action.shape)}"
            )
        return _through(self.layers, torch.cat((obs, action), 2)).squeeze(2)

    def unroll(
        self, sources: tuple[Tensor, ...], hidden: Tensor | None, dt: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Estimate Q of every step, as :class:`velora.nn.run.network.Network` asks it to."""
        obs, action = sources
        return self(obs.flatten(1, 2), action.flatten(1, 2)).view(*obs.shape[:3], 1), None, None

    def plan(self) -> Plan | None:
        """Describe the critic to what computes it."""
        return dense_plan(self, self.sizes, [f"layers.{i}" for i in range(len(self.layers))])


@final
class LiquidQNetwork(nn.Module):
    """Estimate the return of an observation and an action, or that of each choice there, with a liquid circuit.

    The circuit makes one step from a state of zeros, and a linear map reads the values off all its neurons, since a
    motor neuron of a CfC is bounded.

    Args:
        cell: reads concat(observation, action), or the observation alone.
        generators: one per seed, for the linear map.
        n_values: numbers to put out.
    """

    has_memory = False

    def __init__(self, cell: Cell, generators: Sequence[torch.Generator], n_values: int = 1) -> None:
        super().__init__()
        self.cell = cell
        self.head = Linear(cell.state_size, n_values, generators=generators)

    def forward(self, obs: Tensor, action: Tensor) -> Tensor:
        """Estimate Q of every row.

        Shapes:
            obs: (S, N, O). action: (S, N, A). Returns (S, N).
        """
        return self._values(torch.cat((obs, action), 2)).squeeze(2)

    def _values(self, x: Tensor) -> Tensor:
        """Estimate the values of every row x (S, N, I)."""
        state = self.cell(x, self.cell.initial_state(x.shape[1]), x.new_ones(x.shape[:2]))
        values: Tensor = self.head(state)
        return values

    def unroll(
        self, sources: tuple[Tensor, ...], hidden: Tensor | None, dt: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Estimate the values of every step, as :class:`velora.nn.run.network.Network` asks it to."""
        x = joined(sources)
        return self._values(x.flatten(1, 2)).view(*x.shape[:3], -1), None, None

    def plan(self) -> Plan | None:
        """Describe the critic to what computes it."""
        return liquid_head_plan(self, self.cell, self.head, has_memory=False)


@final
class RecurrentCritic(nn.Module):
    """Estimate a return from all that came before: a fully connected cell, then ReLU layers.

    Args:
        cell: reads concat(observation, action), or the observation alone.
        units: neurons of each ReLU layer after it, at least one layer.
        generators: one per seed, for those layers.
        n_values: numbers to put out: one return, or that of each choice.

    Attributes:
        state_size: numbers in the recurrent state (H).
    """

    has_memory = True

    def __init__(
        self, cell: Cell, units: Sequence[int], generators: Sequence[torch.Generator], n_values: int = 1
    ) -> None:
        super().__init__()
        self.cell = cell
        self.sizes = sizes = [cell.output_size, *units, n_values]
        self.state_size = cell.state_size + sum(units)
        self.layers = _dense(sizes, generators)

    def unroll(
        self, sources: tuple[Tensor, ...], hidden: Tensor | None, dt: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Estimate the return at every step, as :class:`velora.nn.run.network.Network` asks it to.

        The state holds the cell's, then what the ReLU layers put out, which nothing reads again.
        """
        x = joined(sources)
        before = self.cell.initial_state(x.shape[1]) if hidden is None else hidden[..., : self.cell.state_size]
        states, _ = unroll(self.cell, x, before, x.new_ones(x.shape[:3]) if dt is None else dt, resets)
        shape, parts = x.shape[:3], [states]
        out = self.cell.readout(states)
        for layer in self.layers[:-1]:
            out = torch.relu(layer(out.flatten(1, 2))).view(*shape, -1)
            parts.append(out)
        every = torch.cat(parts, 3)
        return self.layers[-1](out.flatten(1, 2)).view(*shape, -1), every, every[:, :, -1]

    def plan(self) -> Plan | None:
        """Describe the critic to what computes it."""
        names = [f"layers.{i}" for i in range(len(self.layers))]
        return recurrent_value_plan(self, self.cell, self.sizes[1:], names)


def _dense(sizes: Sequence[int], generators: Sequence[torch.Generator]) -> nn.ModuleList:
    """Build linear layers of these sizes, one after another."""
    return nn.ModuleList(Linear(sizes[i], sizes[i + 1], generators=generators) for i in range(len(sizes) - 1))


def _through(layers: nn.ModuleList, x: Tensor) -> Tensor:
    """Map x (S, N, in) through layers, with ReLU between them."""
    for layer in layers[:-1]:
        x = torch.relu(layer(x))
    value: Tensor = layers[-1](x)
    return value
