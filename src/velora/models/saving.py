"""How an agent is saved, loaded, and taken out of several seeds."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from velora.checkpoint import Checkpoint
from velora.checkpoint.contents import Contents
from velora.core import allowance
from velora.core.autograd import as_by_default
from velora.core.errors import CheckpointError, SettingError
from velora.core.paths import checked_path
from velora.models import checkpoint_contents, copying, idle
from velora.models.parts import AgentParts
from velora.models.pretrained import downloaded


class SavedAgent(AgentParts):
    """An agent that is saved to a directory and read from one, by :mod:`velora.models.checkpoint_contents`."""

    def reseed(self) -> None:
        """Draw for the seeds that ``seeds`` names from now on."""
        self.exploration.reseed(self.seeds)
        self.draws.reseed(self.seeds)

    @as_by_default()
    def seed(self, index: int) -> Self:
        """Copy the agent at one position of the seed axis out, as an ordinary agent of one seed.

        The replay buffer and the generators stay behind: the copy is for acting, evaluating and saving.

        Raises:
            SettingError: if there is no such position.
        """
        if not isinstance(index, int | np.integer) or not 0 <= index < self.n_seeds:
            raise SettingError(f"seed: expected a position from 0 to {self.n_seeds - 1}, got {index!r}")
        own: dict[str, Any] = {"device": self.device, "kernel": self.kernel, "seed": self.seeds[index]}
        with idle.taken_over(is_known=True):
            alone = type(self)(**self.settings.model_dump(), **own)
        checkpoint_contents.copy_seed(self, index, alone)
        return alone

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copy the agent: its copy predicts and learns the same, and shares nothing with it."""
        state = copying.state_of(self)
        made: Self = copying.made_from(type(self), state)
        memo.update(copying.correspondence(self, made))
        made.__setstate__(copy.deepcopy(copying.own_attributes(self, state), memo))
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        """Take the agent apart for ``pickle``, into settings, text and arrays; its class has to be importable."""
        state = copying.state_of(self)
        return copying.made_from, (type(self), state), copying.own_attributes(self, state)

    def __setstate__(self, own: dict[str, Any]) -> None:
        """Take over what was set on the agent besides its parts."""
        vars(self).update(own)

    def training_contents(
        self, seed_index: int, *, buffer: bool, config: bool, train_state: checkpoint_contents.TrainState, copy: bool
    ) -> Contents:
        """Gather what a checkpoint of one seed, together with the state of its run, holds; the trainer writes it."""
        return checkpoint_contents.gather(
            self, seed_index=seed_index, buffer=buffer, config=config, train_state=train_state, copy=copy
        )

    def find_state_fault(self, state: Mapping[str, Any], seed_index: int = 0) -> str | None:
        """Return why a saved state of training can't be taken over, in one line, or ``None`` if it can."""
        return self.experience.find_state_fault(state, seed_index)

    def restore(self, checkpoint: Checkpoint, *, buffer: bool, seed_index: int = 0) -> list[str]:
        """Become the agent of a checkpoint at one position of the seed axis, but keep the settings this one was given.

        Returns:
            One line for each setting that differs.

        Raises:
            CheckpointError: if the checkpoint is another agent's, a setting is impossible, or a tensor doesn't fit.
        """
        if checkpoint.metadata.agent != self.key:
            raise CheckpointError(
                f"{checkpoint.path}: holds a {checkpoint.metadata.agent!r}, this agent is a {self.key!r}"
            )
        try:
            self.settings_type.check(checkpoint.metadata.settings)
        except SettingError as error:
            raise CheckpointError(f"{checkpoint.path}: settings: {error}") from error
        checkpoint_contents.read(self, checkpoint, buffer=buffer, seed_index=seed_index)
        self.reseed()
        return checkpoint_contents.differences(checkpoint.metadata.settings, self.settings_dict())

    def save(self, dirpath: str | Path, *, buffer: bool = False, config: bool = False, overwrite: bool = True) -> Path:
        """Write the agent to a directory, all of it or nothing.

        An existing checkpoint there is replaced in one step. If that one holds the same weights and a replay buffer,
        and this call saves none, its buffer stays.

        Args:
            dirpath: the directory of this checkpoint, such as ``checkpoints/ddpg-InvertedPendulum/ep10``.
            buffer: save the replay buffer too.
            config: write ``model_config.json``, an overview of the agent, in the directory above (once).
            overwrite: ``False`` refuses to replace an existing checkpoint.

        Raises:
            CheckpointError: if the directory holds anything else, or can't be written.
            SettingError: if ``dirpath`` is no path, or the agent holds several seeds; save one with
                ``agent.seed(k).save(...)``.
        """
        if self.n_seeds > 1:
            raise SettingError(f"save: this agent holds {self.n_seeds} seeds; save one with agent.seed(k).save(...)")
        contents = checkpoint_contents.gather(self, buffer=buffer, config=config)
        return contents.write(checked_path("dirpath", dirpath), overwrite=overwrite)

    @classmethod
    @as_by_default()
    def load(
        cls,
        dirpath: str | Path,
        *,
        buffer: bool = False,
        device: str | torch.device | None = None,
        kernel: str = "auto",
    ) -> Self:
        """Read an agent from a directory that :meth:`save` or a training run wrote.

        Every byte is checked first; nothing in the files is ever run. Settings that ask for more memory than the
        tensors beside them fill are refused before it is taken.

        Args:
            dirpath: the checkpoint directory.
            buffer: load the replay buffer too.
            device: where to put it; ``None`` chooses.
            kernel: what computes; see the constructor.

        Raises:
            FileNotFoundError: if there is no such checkpoint.
            CheckpointError: if it is damaged, of another agent, or has no buffer where one was asked for.
        """
        checkpoint = Checkpoint.open(checked_path("dirpath", dirpath), agent=cls.key)
        try:
            settings: dict[str, Any] = dict(checkpoint.metadata.settings)
            make: Any = cls
            with idle.taken_over(), allowance.bounded(checkpoint.count_numbers("model_state")):
                agent: Self = make(**settings, device=device, kernel=kernel, seed=checkpoint.metadata.seed)
        except (SettingError, TypeError, MemoryError) as error:
            raise CheckpointError(f"{checkpoint.path}: settings: {error}") from error
        checkpoint_contents.read(agent, checkpoint, buffer=buffer)
        return agent

    @classmethod
    def from_pretrained(
        cls,
        repo: str,
        *,
        revision: str | None = None,
        device: str | torch.device | None = None,
        kernel: str = "auto",
    ) -> Self:
        """Download an agent that ``velora push`` shared on a Hub, and read it as :meth:`load` does.

        It takes the extra ``hub``. Nothing stays on the disk; ``velora pull`` keeps a copy.

        Args:
            repo: ``user/name``.
            revision: a branch, a tag or a commit; ``None`` is the newest.
            device: where to put it; ``None`` chooses.
            kernel: what computes; see the constructor.

        Raises:
            HubError: if the Hub doesn't answer, or has no such repository, revision or checkpoint.
            CheckpointError: if it is damaged, or of another agent.
        """
        with downloaded(repo, revision) as path:
            return cls.load(path, device=device, kernel=kernel)
