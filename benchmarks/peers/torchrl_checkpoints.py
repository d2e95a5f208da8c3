"""TorchRL's own checkpoints under the faults of ``benchmarks.reliability``; runs in the peers' environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tensordict import TensorDict
from torch import nn
from torchrl.checkpoint import Checkpoint
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer

from benchmarks.reliability.plain import digest, small_module
from benchmarks.reliability.subject import Subject


def _parts(version: int) -> tuple[nn.Module, torch.optim.Optimizer, Any]:
    """Make a policy, its optimizer, and a replay buffer with rows in it."""
    module, optimizer = small_module(version)
    buffer = TensorDictReplayBuffer(storage=LazyTensorStorage(48), batch_size=4)
    generator = torch.Generator().manual_seed(version)
    rows = {"obs": torch.randn(32, 3, generator=generator), "reward": torch.randn(32, 1, generator=generator)}
    buffer.extend(TensorDict(rows, batch_size=[32]))
    return module, optimizer, buffer


class TorchRL(Subject):
    """``Checkpoint(policy=..., optimizer=..., replay_buffer=...)`` into the same directory, and ``load`` of all."""

    name = "torchrl"
    is_fragile = True

    def save(self, place: Path, version: int) -> None:
        """Save as its documentation does."""
        module, optimizer, buffer = _parts(version)
        Checkpoint(policy=module, optimizer=optimizer, replay_buffer=buffer).save(place / "checkpoint")

    def load(self, place: Path) -> str:
        """Load as its documentation does."""
        module, optimizer, buffer = _parts(0)
        Checkpoint(policy=module, optimizer=optimizer, replay_buffer=buffer).load(
            place / "checkpoint", map_location="cpu"
        )
        return digest([module.state_dict(), optimizer.state_dict(), buffer[:].to_dict()])


def subjects() -> list[Subject]:
    """List them."""
    return [TorchRL()]
