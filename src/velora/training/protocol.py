"""Agent as the trainer knows it. Any class of this shape can be trained; ours are in ``velora.models``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from velora.checkpoint import Checkpoint
from velora.checkpoint.contents import Contents
from velora.core.protocols import AgentView
from velora.core.types import Array, Counters
from velora.envs import ActionUnits
from velora.training.experience import Experience
from velora.training.hook_table import HookTable

Act: TypeAlias = Callable[[tuple[int, ...], Sequence[int], Sequence[int]], NDArray[np.float32]]
"""Act once in training, for the seeds at these positions. The other arguments are how many steps each seed has lived,
and the positions that act at random. Returns actions, (S * E, A)."""


class TrainableAgent(AgentView, Protocol):
    """An agent that acts, learns from its experience and can be saved: the trainer decides when, the agent how."""

    hooks: HookTable
    bounds: ActionUnits
    environment: dict[str, Any] | None
    progress: list[Counters]
    chose_seeds: bool
    """Whether somebody chose its seeds; if not, those of the checkpoint are taken over."""

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Networks by name."""
        ...

    @property
    def experience(self) -> Experience:
        """Experience that the agent learns from."""
        ...

    @property
    def n_seeds(self) -> int:
        """Size of the seed axis."""
        ...

    @property
    def sees_time(self) -> bool:
        """Whether its observations have the time as one more number; see :class:`velora.envs.Environments`."""
        ...

    @property
    def privileged(self) -> int:
        """Numbers of ``info["state"]`` that it learns from and doesn't act by (P)."""
        ...

    @property
    def computes_in_torch(self) -> bool:
        """Whether PyTorch computes any of its networks, with as many threads as it is told."""
        ...

    @property
    def optimizers(self) -> Mapping[str, Any]:
        """Optimizers by network, in the shape of ``torch.optim``."""
        ...

    def settings_dict(self) -> Mapping[str, Any]:
        """Return the constructor settings as JSON."""
        ...

    def adapt(self, env: gym.Env[Any, Any]) -> None:
        """Check that the environment fits, and take over its name and action units."""
        ...

    def configure_training(self, *, threads: int = 1) -> None:
        """Build what only training needs, such as optimizers."""
        ...

    def initial_hidden(self, batch: int = 1) -> Tensor:
        """Return zeros (S, batch, H)."""
        ...

    def begin_episode(self, seed_index: int) -> None:
        """Forget what belongs to the episode before, such as the noise."""
        ...

    def act(self, obs: Tensor, hidden: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """Follow the policy one step, without noise."""
        ...

    def acting(self, obs: Array, hidden: Tensor, dt: Array) -> Act:
        """Prepare to act in training, from and in this memory."""
        ...

    def generators(self, seed_index: int) -> Mapping[str, np.random.Generator]:
        """Name the generators of one seed."""
        ...

    def training_state(self, seed_index: int) -> Mapping[str, Any]:
        """Return what else an exact resume needs, as numbers, lists, dicts and tensors."""
        ...

    def find_state_fault(self, state: Mapping[str, Any], seed_index: int = 0) -> str | None:
        """Return why such a state can't be taken over, in one line, or ``None`` if it can."""
        ...

    def load_training_state(self, state: Mapping[str, Any], seed_index: int = 0) -> None:
        """Take that over."""
        ...

    def training_contents(
        self,
        seed_index: int,
        *,
        buffer: bool,
        config: bool,
        train_state: tuple[dict[str, Any], Mapping[str, Tensor]],
        copy: bool,
    ) -> Contents:
        """Gather what a checkpoint of one seed, together with the state of its run, holds.

        Args:
            copy: copy the tensors, if memory has room for it, so that training may go on before they are written.
        """
        ...

    def restore(self, checkpoint: Checkpoint, *, buffer: bool, seed_index: int = 0) -> Sequence[str]:
        """Become the agent of a checkpoint; return one line for each setting that differs from it."""
        ...
