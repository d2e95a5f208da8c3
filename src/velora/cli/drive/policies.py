"""The policy that the settings of ``velora drive`` ask for: the agent itself, or in C."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from velora.checkpoint import Checkpoint
from velora.core.errors import SettingError
from velora.drive.compiled import CompiledController, CompiledPolicy
from velora.drive.controller import AgentController, Controller, sizes_of
from velora.drive.learning import LearningController, be_nice
from velora.drive.plant import Sizes
from velora.drive.quiet import raise_priority
from velora.export.describe import describe
from velora.models import Agent

_LEARNER_PRIORITY = 1


@dataclass(frozen=True, slots=True)
class Policies:
    """A controller for a loop in Python, and the library for one in C.

    Attributes:
        compiled: ``None`` where the agent itself acts.
    """

    controller: Controller
    compiled: CompiledPolicy | None = None
    _kept: list[Any] = field(default_factory=list)

    @property
    def sizes(self) -> Sizes:
        """Numbers that go in and out."""
        return self.controller.sizes

    @property
    def name(self) -> str:
        """What computes, in words."""
        return self.controller.name

    @classmethod
    def make(cls, cfg: DictConfig, agent: Agent, checkpoint: Checkpoint, plant: Path | None) -> Policies:
        """Make what the settings ask for; a policy in C is written and compiled now, unless its directory is given.

        Raises:
            VeloraError: if it can't be made.
        """
        if cfg.learn:
            prepare = partial(raise_priority, _LEARNER_PRIORITY) if cfg.priority else be_nice
            return cls(LearningController(agent, batch_size=cfg.batch_size, prepare=prepare))
        given = "c" if cfg.policy == "python" and cfg.loop == "c" else cfg.policy
        if given == "python":
            return cls(AgentController(agent))
        kept: list[Any] = []
        directory = Path(given)
        if given == "c":
            kept.append(tempfile.TemporaryDirectory(prefix="velora-policy-"))
            directory = _written(agent, checkpoint, Path(kept[0].name))
        elif not directory.is_dir():
            raise SettingError(f"policy: expected python, c, or a directory of velora export to=c, got {given!r}")
        compiled = CompiledPolicy(directory, sizes_of(agent), plant=plant)
        return cls(CompiledController(compiled), compiled, kept)

    def close(self) -> None:
        """Remove what was written for this drive."""
        for one in self._kept:
            one.cleanup()


def _written(agent: Agent, checkpoint: Checkpoint, directory: Path) -> Path:
    from velora.export.c import write  # noqa

    write(describe(agent, checkpoint), directory)
    return directory
