"""Load an agent of whatever class a checkpoint holds."""

from __future__ import annotations

from pathlib import Path

import torch

from velora.checkpoint import Checkpoint, agents
from velora.core.errors import CheckpointError
from velora.models import Agent


def load(
    dirpath: str | Path,
    *,
    buffer: bool = False,
    device: str | torch.device | None = None,
    kernel: str = "auto",
) -> Agent:
    """Read an agent from a directory that ``agent.save`` or a training run wrote; the checkpoint names the class.

    The name is a key into :data:`velora.checkpoint.agents`. Nothing in the files is imported or run.

    Args:
        dirpath: the checkpoint directory.
        buffer: load the replay buffer too.
        device: where to put the agent; ``None`` chooses.
        kernel: what computes; see the agent's constructor.

    Raises:
        FileNotFoundError: if there is no such checkpoint.
        CheckpointError: if no class is registered under the checkpoint's key, or as :meth:`Agent.load`.
    """
    checkpoint = Checkpoint.open(dirpath)
    return find_class(checkpoint).load(dirpath, buffer=buffer, device=device, kernel=kernel)


def find_class(checkpoint: Checkpoint, *, advice: str | None = None) -> type[Agent]:
    """Look up the class that a checkpoint's key stands for.

    Args:
        checkpoint: any.
        advice: how to make a class of one's own known, for the error; by default, as in Python.

    Raises:
        CheckpointError: if no class has the key.
    """
    key = checkpoint.metadata.agent
    if key not in agents:
        advice = advice or (
            f"import the module of your own class first, registered with @velora.checkpoint.agents.register({key!r})"
        )
        raise CheckpointError(
            f"{checkpoint.path}: holds an agent {key!r}, expected one of {', '.join(sorted(agents))}; {advice}"
        )
    found: type[Agent] = agents.get(key)
    return found
