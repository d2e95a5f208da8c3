"""What the trainer asks of an agent. Any class of this shape can be trained; ours are in ``velora.models``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from velora.buffers import Buffer
from velora.checkpoint import Checkpoint
from velora.core.types import Array, Counters, Metrics
from velora.envs import ActionUnits
from velora.training.hooks import HookTable


class Acting(Protocol):
    """Act step after step, in memory that stays where it is."""

    def step(self, rows: tuple[int, ...], steps: Sequence[int], warming_up: Sequence[int]) -> NDArray[np.float32]:
        """Act once for the seeds at ``rows``, which have lived so many steps; return actions (S * E, A)."""
        ...


class TrainableAgent(Protocol):
    """Act, store, learn, save: the trainer decides when, the agent how."""

    hooks: HookTable
    device: torch.device
    bounds: ActionUnits
    environment: dict[str, Any] | None
    seeds: tuple[int, ...]
    progress: list[Counters]
    networks: dict[str, nn.Module]
    kernel: str
    threads: int

    @property
    def key(self) -> str:
        """Short registry key."""
        ...

    @property
    def n_seeds(self) -> int:
        """Size of the seed axis."""
        ...

    @property
    def n_envs(self) -> int:
        """Environments that each seed acts in at once (E)."""
        ...

    @property
    def sees_time(self) -> bool:
        """Whether its observations have the time as one more number; see :class:`velora.envs.Environments`."""
        ...

    @property
    def buffer(self) -> Buffer:
        """Where experience goes."""
        ...

    def settings_dict(self) -> Mapping[str, Any]:
        """Return the constructor settings as JSON."""
        ...

    def summary(self) -> Mapping[str, Any]:
        """Describe the agent for people."""
        ...

    def adapt(self, env: gym.Env[Any, Any]) -> None:
        """Check that the environment fits, and take over its name and action units."""
        ...

    def check_batch_size(self, batch_size: int) -> None:
        """Refuse a batch that the buffer can never fill."""
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
        """Follow the policy one step."""
        ...

    def acting(self, obs: Array, hidden: Tensor, dt: Array) -> Acting:
        """Prepare to act in training, from and in this memory."""
        ...

    def warming_up(self, rows: tuple[int, ...]) -> tuple[int, ...]:
        """Choose, of these seeds, those whose next action is drawn at random."""
        ...

    def due(self, rows: tuple[int, ...], batch_size: int) -> tuple[int, ...]:
        """Choose, of these seeds, those that learn during this step."""
        ...

    def begin_learning(self, batch_size: int, rows: tuple[int, ...]) -> None:
        """Begin an update of these seeds from a batch of that size."""
        ...

    def finish_learning(
        self, batch_size: int, update: int, count: Callable[[Metrics], None] = lambda metrics: None
    ) -> Metrics:
        """Wait for it, fire the hooks around it, and return what it reports.

        Args:
            batch_size: as it was begun with.
            update: made before this one.
            count: to be called with what it reports once it is made, before ``on_train_batch_end`` fires.
        """
        ...

    def store(self, rows: tuple[int, ...]) -> None:
        """Keep the buffer's ``incoming`` transition of these seeds."""
        ...

    def generators(self, seed_index: int) -> Mapping[str, np.random.Generator]:
        """Name the generators of one seed."""
        ...

    def training_state(self, seed_index: int) -> Mapping[str, Any]:
        """Return what else an exact resume needs, as numbers, lists and dicts."""
        ...

    def load_training_state(self, state: Mapping[str, Any], seed_index: int = 0) -> None:
        """Take that over."""
        ...

    def save_training(
        self,
        dirpath: Path,
        *,
        seed_index: int,
        buffer: bool,
        config: bool,
        train_state: tuple[dict[str, Any], Mapping[str, Tensor]],
    ) -> Path:
        """Write a checkpoint of one seed together with the state of its run."""
        ...

    def restore(self, checkpoint: Checkpoint, *, buffer: bool, seed_index: int = 0) -> Sequence[str]:
        """Become the agent of a checkpoint; return one line for each setting that differs from it."""
        ...
