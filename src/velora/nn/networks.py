"""The networks of an actor-critic agent: a liquid policy, and a dense or a liquid critic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from velora.core.errors import SettingError, ShapeError
from velora.nn.cells.base import Cell
from velora.nn.cells.layered import LayeredCell
from velora.nn.cells.lstm import LSTMCell
from velora.nn.cells.mixed import MixedMemoryCell
from velora.nn.execution import joined
from velora.nn.linear import Linear
from velora.nn.plan import cell_plan, dense_plan, liquid_head_plan, recurrent_value_plan
from velora.nn.sequence import unroll
from velora.ops.plan import Plan


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

    def forward(self, obs: Tensor, hidden: Tensor, dt: Tensor, resets: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Act along sequences.

        Shapes:
            obs: (S, B, T, O). hidden: (S, B, H). dt and resets: (S, B, T), see :func:`velora.nn.sequence.unroll`.
            Returns actions (S, B, T, A) and the hidden state after the last step (S, B, H).

        Raises:
            ShapeError: if a tensor isn't shaped as above.
        """
        states, hidden = self.states(obs, hidden, dt, resets)
        return self.actions(states), hidden

    def states(self, obs: Tensor, hidden: Tensor, dt: Tensor, resets: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the hidden state after every step (S, B, T, H), and after the last one (S, B, H).

        Raises:
            ShapeError: if a tensor isn't shaped as :meth:`forward` says.
        """
        return unroll(self.cell, obs, hidden, dt, resets)

    def actions(self, states: Tensor) -> Tensor:
        """Read the actions (S, ..., A) off hidden states (S, ..., H)."""
        readout = self.cell.readout(states)
        return readout if self.cell.is_bounded else torch.tanh(readout)

    def unroll(
        self, sources: tuple[Tensor, ...], hidden: Tensor | None, dt: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Act along sequences, as :class:`velora.nn.execution.Network` asks it to."""
        obs = joined(sources)
        hidden = self.initial_state(obs.shape[1]) if hidden is None else hidden
        states, last = self.states(obs, hidden, torch.ones(obs.shape[:3]).to(obs) if dt is None else dt, resets)
        return self.actions(states), states, last

    def plan(self) -> Plan | None:
        """Describe the actor to what computes it."""
        return cell_plan(self.cell, squash=not self.cell.is_bounded, module=self, prefix="cell.")

    def step(self, obs: Tensor, hidden: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """Act once.

        Shapes:
            obs: (S, B, O). hidden: (S, B, H). dt: (S, B).
            Returns the action (S, B, A) and the next hidden state (S, B, H).

        Raises:
            ShapeError: if a tensor isn't shaped as above.
        """
        states, hidden = unroll(self.cell, obs.unsqueeze(2), hidden, dt.unsqueeze(2))
        return self.actions(states).squeeze(2), hidden

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
        shape = len(generators), n_outputs
        self.log_std = None if log_std is None else nn.Parameter(torch.full(shape, log_std))

    def unroll(
        self, sources: tuple[Tensor, ...], hidden: Tensor | None, dt: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Respond along sequences, as :class:`velora.nn.execution.Network` asks it to."""
        obs = joined(sources)
        hidden = self.initial_state(obs.shape[1]) if hidden is None else hidden
        states, last = unroll(self.cell, obs, hidden, torch.ones(obs.shape[:3]).to(obs) if dt is None else dt, resets)
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


@final
class ValueNetwork(nn.Module):
    """Estimate the return of an observation with a dense ReLU network.

    Args:
        obs_dim: features of the observation, O.
        units: neurons of each hidden layer.
        generators: one per seed.
    """

    has_memory = False

    def __init__(self, obs_dim: int, *, units: Sequence[int], generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.sizes = sizes = [obs_dim, *units, 1]
        self.layers = nn.ModuleList(
            Linear(sizes[i], sizes[i + 1], generators=generators) for i in range(len(sizes) - 1)
        )

    def unroll(
        self, sources: tuple[Tensor, ...], hidden: Tensor | None, dt: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Estimate the value of every step, as :class:`velora.nn.execution.Network` asks it to."""
        obs = joined(sources)
        x = obs.flatten(1, 2)
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return self.layers[-1](x).view(*obs.shape[:3], 1), None, None

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
        self.layers = nn.ModuleList(
            Linear(sizes[i], sizes[i + 1], generators=generators) for i in range(len(sizes) - 1)
        )

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
        x = torch.cat((obs, action), 2)
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        value: Tensor = self.layers[-1](x)
        return value.squeeze(2)

    def unroll(
        self, sources: tuple[Tensor, ...], hidden: Tensor | None, dt: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Estimate Q of every step, as :class:`velora.nn.execution.Network` asks it to."""
        obs, action = sources
        return self(obs.flatten(1, 2), action.flatten(1, 2)).view(*obs.shape[:3], 1), None, None

    def plan(self) -> Plan | None:
        """Describe the critic to what computes it."""
        return dense_plan(self, self.sizes, [f"layers.{i}" for i in range(len(self.layers))])


@final
class LiquidQNetwork(nn.Module):
    """Estimate the return of an observation and an action with a liquid circuit.

    The circuit makes one step from a state of zeros, and a linear map reads the value off all its neurons, since a
    motor neuron of a CfC is bounded.

    Args:
        cell: reads concat(observation, action).
        generators: one per seed, for the linear map.
    """

    has_memory = False

    def __init__(self, cell: Cell, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.cell = cell
        self.head = Linear(cell.state_size, 1, generators=generators)

    def forward(self, obs: Tensor, action: Tensor) -> Tensor:
        """Estimate Q of every row.

        Shapes:
            obs: (S, N, O). action: (S, N, A). Returns (S, N).
        """
        x = torch.cat((obs, action), 2)
        state = self.cell(x, self.cell.initial_state(x.shape[1]), x.new_ones(x.shape[:2]))
        value: Tensor = self.head(state)
        return value.squeeze(2)

    def unroll(
        self, sources: tuple[Tensor, ...], hidden: Tensor | None, dt: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Estimate Q of every step, as :class:`velora.nn.execution.Network` asks it to."""
        obs, action = sources
        return self(obs.flatten(1, 2), action.flatten(1, 2)).view(*obs.shape[:3], 1), None, None

    def plan(self) -> Plan | None:
        """Describe the critic to what computes it."""
        return liquid_head_plan(self, self.cell, self.head, has_memory=False)


@final
class RecurrentQNetwork(nn.Module):
    """Estimate a return from all that came before: a fully connected cell, then ReLU layers.

    Args:
        cell: reads concat(observation, action), or the observation alone.
        units: neurons of each ReLU layer after it, at least one layer.
        generators: one per seed, for those layers.

    Attributes:
        state_size: numbers in the recurrent state (H).
    """

    has_memory = True

    def __init__(self, cell: Cell, units: Sequence[int], generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.cell = cell
        self.sizes = sizes = [cell.output_size, *units, 1]
        self.state_size = cell.state_size + sum(units)
        self.layers = nn.ModuleList(
            Linear(sizes[i], sizes[i + 1], generators=generators) for i in range(len(sizes) - 1)
        )

    def unroll(
        self, sources: tuple[Tensor, ...], hidden: Tensor | None, dt: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Estimate the return at every step, as :class:`velora.nn.execution.Network` asks it to.

        The state holds the cell's, then what the ReLU layers put out, which nothing reads again.
        """
        x = joined(sources)
        before = self.cell.initial_state(x.shape[1]) if hidden is None else hidden[..., : self.cell.state_size]
        states, _ = unroll(self.cell, x, before, torch.ones(x.shape[:3]).to(x) if dt is None else dt, resets)
        shape, parts = x.shape[:3], [states]
        out = self.cell.readout(states)
        for layer in self.layers[:-1]:
            out = torch.relu(layer(out.flatten(1, 2))).view(*shape, -1)
            parts.append(out)
        every = torch.cat(parts, 3)
        return self.layers[-1](out.flatten(1, 2)).view(*shape, 1), every, every[:, :, -1]

    def plan(self) -> Plan | None:
        """Describe the critic to what computes it."""
        names = [f"layers.{i}" for i in range(len(self.layers))]
        return recurrent_value_plan(self, self.cell, self.sizes[1:], names)
