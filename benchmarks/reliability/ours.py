"""Velora's checkpoints as subjects: small agents that have learned a little, saved in every way there is."""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path
from typing import Any

import torch

from benchmarks.reliability.subject import Subject
from velora.callbacks import SaveCheckpoints
from velora.checkpoint import Checkpoint, files
from velora.checkpoint.schema import PARTS
from velora.models import LiquidDDPG
from velora.models.checkpoint_contents import model_tensors

QUIET: dict[str, Any] = {"progress_bar": False, "summary": False, "threads": 1}


@functools.cache
def agent(version: int) -> LiquidDDPG:
    """Make the agent of a version: each has other weights, optimizer states and experience."""
    made = LiquidDDPG(3, 6, 1, seed=version, device="cpu", warmup_steps=5, buffer_size=48)
    made.train("Pendulum-v1", 4, n_steps=12 + version, **QUIET)
    return made


def digest(loaded: LiquidDDPG, *, buffer: bool) -> str:
    """Hash everything that a user gets back: weights, optimizers, counters and experience."""
    tensors = {**model_tensors(loaded), **loaded.learner.optimizer_state(0)}
    if buffer:
        state = loaded.buffer.state_dict(0)
        counters = state.pop("counters")
        tensors |= {f"buffer.{name}": tensor for name, tensor in state.items()}
        tensors["counters"] = torch.tensor([int(value) for _, value in sorted(counters.items())])
    found = hashlib.sha256(repr(loaded.progress).encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().contiguous().numpy().tobytes())
    return found.hexdigest()


class AgentSave(Subject):
    """``agent.save`` into a directory."""

    name = "velora"
    refuses_all = True

    def __init__(self, scenario: str, *, fresh: bool = False, buffer: bool = False, exchange: bool = True) -> None:
        self.scenario, self.is_fresh, self._buffer, self._exchange = scenario, fresh, buffer, exchange
        for version in (1, 2, 3):
            agent(version)

    def save(self, place: Path, version: int) -> None:
        """Save in one call, as users do."""
        if not self._exchange and version == 2:
            files.exchange = lambda first, second: False
        agent(version).save(place / "run" / "ep10", buffer=self._buffer)

    def load(self, place: Path) -> str:
        """Load the agent from the same path."""
        return digest(LiquidDDPG.load(place / "run" / "ep10", buffer=self._buffer, device="cpu"), buffer=self._buffer)

    def is_clear(self, error: tuple[str, str], place: Path, reason: str) -> bool:
        """Ask for one line with the path and what the system said."""
        kind, text = error
        return kind.endswith("CheckpointError") and str(place) in text and reason in text and "\n" not in text

    def names_file(self, error: tuple[str, str], path: Path) -> bool:
        """Ask for one line with the file; metadata.json may be named beside a file whose digest isn't in it."""
        kind, text = error
        named = str(path) in text or (path.name == "metadata.json" and path.name in text)
        return kind.endswith("CheckpointError") and named and "\n" not in text

    def leftovers(self, place: Path) -> list[str]:
        """Name what lies beside the checkpoint."""
        return sorted(set(os.listdir(place / "run")) - {"ep10"})


class WholeCheckpoint(AgentSave):
    """A checkpoint of a training run, with everything in it, verified without the time that building an agent takes."""

    def __init__(self) -> None:
        super().__init__("a whole checkpoint of a run", buffer=True)

    def save(self, place: Path, version: int) -> None:
        """Train for a few steps, and save."""
        made = LiquidDDPG(3, 3, 1, seed=version, device="cpu", warmup_steps=5, buffer_size=16, critic_units=[4])
        saving = SaveCheckpoints(place / "run", frequency=None)
        made.train("Pendulum-v1", 4, n_steps=12, callbacks=[saving], **QUIET)

    def load(self, place: Path) -> str:
        """Read every file, as a load does."""
        checkpoint = Checkpoint.open(place / "run" / "final")
        for part in PARTS:
            checkpoint.read(part)
        return repr(checkpoint.metadata.files)

    def parts(self, place: Path) -> list[Path]:
        """List the files of the checkpoint; the overview beside it is for people."""
        return sorted((place / "run" / "final").iterdir())


class BesideOthers(AgentSave):
    """A new checkpoint beside the old one, and the newest valid one is loaded."""

    def save(self, place: Path, version: int) -> None:
        """Save under a name of its own."""
        agent(version).save(place / "run" / f"ep{version}", buffer=self._buffer)

    def load(self, place: Path) -> str:
        """Load what ``Checkpoint.latest`` finds."""
        found = Checkpoint.latest(place / "run")
        if found is None:
            raise FileNotFoundError("no checkpoint")
        return digest(LiquidDDPG.load(found.path, buffer=self._buffer, device="cpu"), buffer=self._buffer)

    def leftovers(self, place: Path) -> list[str]:
        """Name what lies beside the checkpoints."""
        return sorted(set(os.listdir(place / "run")) - {"ep1", "ep2", "ep3"})


def subjects() -> list[Subject]:
    """List every way to save an agent by hand."""
    return [
        AgentSave("fresh", fresh=True),
        AgentSave("fresh, with buffer", fresh=True, buffer=True),
        AgentSave("replacing"),
        AgentSave("replacing, with buffer", buffer=True),
        AgentSave("replacing, without renameat2", buffer=True, exchange=False),
        BesideOthers("beside an older one", buffer=True),
        WholeCheckpoint(),
    ]
