"""The policy that the settings of ``velora drive`` ask for: the agent itself, or in C."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from omegaconf import DictConfig

from velora.checkpoint import Checkpoint
from velora.core.errors import SettingError
from velora.drive.compiled import CompiledController, CompiledPolicy
from velora.drive.controller import AgentController, Controller, sizes_of
from velora.drive.learner import be_nice
from velora.drive.learning import LearningController
from velora.drive.plant import Sizes
from velora.drive.quiet import raise_priority
from velora.export.c.target import write_c
from velora.export.describe import describe
from velora.models import Agent

_LEARNER_PRIORITY = 1
_DIGEST = re.compile(r'#define POLICY_DIGEST "([0-9a-f]*)"')


@dataclass(frozen=True, slots=True)
class Policies:
    """A controller for a loop in Python, and the library for one in C.

    Attributes:
        compiled: ``None`` where the agent itself acts.
    """

    controller: Controller
    compiled: CompiledPolicy | None = None

    @property
    def sizes(self) -> Sizes:
        """Numbers that go in and out."""
        return self.controller.sizes

    @property
    def name(self) -> str:
        """Name of the executor: Python or C."""
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
        directory = Path(given)
        if given == "c":
            with tempfile.TemporaryDirectory(prefix="velora-policy-") as place:
                write_c(describe(agent, checkpoint), Path(place))
                compiled = CompiledPolicy(Path(place), sizes_of(agent), plant=plant)
        elif directory.is_dir():
            _check_digest(directory, checkpoint)
            compiled = CompiledPolicy(directory, sizes_of(agent), plant=plant)
        else:
            raise SettingError(f"policy: expected python, c, or a directory of velora export to=c, got {given!r}")
        return cls(CompiledController(compiled), compiled)


def _check_digest(directory: Path, checkpoint: Checkpoint) -> None:
    """Refuse a directory that was written from another checkpoint.

    Raises:
        SettingError: if so.
    """
    header = directory / "policy.h"
    found = _DIGEST.search(header.read_text(errors="replace")) if header.is_file() else None
    if found and found[1] and found[1] != checkpoint.digest:
        raise SettingError(
            f"policy: {directory} was written from another checkpoint ({found[1][:12]}) than {checkpoint.path} "
            f"({checkpoint.digest[:12]}); give that one, or export this one"
        )
