"""What turns readings into actions in a loop: an agent as it is loaded."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from velora.core.errors import NonFiniteError, SettingError
from velora.drive.plant import Reading, Sizes
from velora.envs.actions import ActionBounds, DiscreteActions
from velora.models import Agent


class Controller(Protocol):
    """A policy with the state that it carries from tick to tick.

    Attributes:
        sizes: of what it reads and writes.
        name: what computes, in words.
    """

    sizes: Sizes
    name: str

    def begin(self) -> None:
        """Forget what was seen before."""
        ...

    def act(self, reading: Reading, dt: float) -> NDArray[Any]:
        """Return the action, (A,), in the plant's units.

        Args:
            dt: time since the reading before, in control steps.
        """
        ...

    def rehearse(self) -> None:
        """Compute one step, of which nothing remains but that the state is one of zeros; to see how long it takes."""
        ...

    def close(self) -> None:
        """Let go of threads and files."""
        ...


def sizes_of(agent: Agent) -> Sizes:
    """Return the sizes and units of an agent's policy.

    Raises:
        SettingError: if it holds several seeds, or its actions are in units of its own.
    """
    if agent.n_seeds > 1:
        raise SettingError(f"drive: this agent holds {agent.n_seeds} seeds; choose one with agent.seed(k)")
    n, units = int(agent.settings.state_dim), agent.bounds
    if isinstance(units, DiscreteActions):
        first, last = float(units.first), float(units.first + units.n - 1)
        return Sizes(n, 1, (first,), (last,), is_discrete=True)
    if not isinstance(units, ActionBounds):
        raise SettingError(f"drive: {type(agent).__name__} has actions in units of its own, {type(units).__name__}")
    return Sizes(n, len(units.low), units.low, units.high)


class Memory:
    """The tensors that an agent steps in, which stay where they are: nothing is allocated for the network's step.

    Shapes:
        obs: (1, O), with log(dt) where the policy reads it. dt: (1, 1), in control steps. hidden: (1, 1, H).
    """

    def __init__(self, agent: Agent) -> None:
        self.obs = np.zeros((1, agent.obs_dim), np.float32)
        self.dt = np.ones((1, 1), np.float32)
        self.hidden: Tensor = agent.initial_hidden(1)
        self._sees_time, self._n = agent.sees_time, int(agent.settings.state_dim)

    def put(self, obs: NDArray[Any], dt: float) -> None:
        """Put in what the policy reads next.

        Raises:
            NonFiniteError: if the observation isn't finite.
        """
        self.obs[0, : self._n] = obs
        if not np.isfinite(self.obs).all():
            raise NonFiniteError(f"plant: gave the observation {np.asarray(obs).tolist()}; expected finite numbers")
        self.dt[0, 0] = dt
        if self._sees_time:
            self.obs[0, -1] = np.log(dt)


class AgentController:
    """An agent that acts greedily, as ``predict`` does, without what that checks and copies at every call.

    Args:
        agent: of one seed; its weights are read at every step.
    """

    def __init__(self, agent: Agent) -> None:
        self.sizes, self.agent = sizes_of(agent), agent
        self.name = f"{type(agent).__name__}, kernel {agent.kernel}"
        agent.learner.held.look_at("actor")
        self._memory = memory = Memory(agent)
        shown = torch.from_numpy(memory.obs).view(1, 1, 1, -1)
        self._given, self._dt = shown, torch.from_numpy(memory.dt).view(1, 1, 1)
        self._seen = shown.clone().to(agent.device)
        self._time = self._dt.clone().to(agent.device)
        self._out, self._advance = agent.learner.networks["actor"].stepper(self._seen, memory.hidden, self._time)

    def begin(self) -> None:
        """See :class:`Controller`."""
        self._memory.hidden.zero_()

    @torch.inference_mode()
    def act(self, reading: Reading, dt: float) -> NDArray[Any]:
        """See :class:`Controller`."""
        agent = self.agent
        self._memory.put(reading.obs, dt)
        self._seen.copy_(self._given)
        self._time.copy_(self._dt)
        if agent.normaliser is not None:
            agent.normaliser.fit_observations(self._seen)
        self._advance((0,))
        chosen = agent.exploration.greedy(self._out.view(1, -1)).cpu().numpy()
        scaled = agent.bounds.to_environment(chosen)
        return scaled if self.sizes.is_discrete else scaled[0]

    def rehearse(self) -> None:
        """See :class:`Controller`."""
        self.act(Reading(np.zeros(self.sizes.n_observations, np.float32), 0), 1.0)
        self.begin()

    def close(self) -> None:
        """See :class:`Controller`."""
