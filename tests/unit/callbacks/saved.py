"""A run whose checkpoints are looked at."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from velora.callbacks import SaveCheckpoints
from velora.checkpoint import Checkpoint

from .stand_in import Agent, Trainer


def run(home: Path, *, agent: Agent | None = None, run_id: str = "run-1", **settings: Any) -> Trainer:
    callbacks = [SaveCheckpoints(home, **settings)]
    return Trainer(agent or Agent(), callbacks=callbacks, run_id=run_id, evaluate_every=1)


def names(home: Path) -> set[str]:
    return {name for name in os.listdir(home) if not name.startswith(".")}


def episode_in(checkpoint: Path) -> int:
    assert Checkpoint.open(checkpoint).read("model_state")["weight"].unique().numel() == 1
    return Checkpoint.open(checkpoint).metadata.progress.episode
