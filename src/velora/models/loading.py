"""Load an agent of whatever class a checkpoint holds."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import torch

from velora.checkpoint import Checkpoint, agents
from velora.core.errors import CheckpointError, SettingError
from velora.models import Agent
from velora.models.pretrained import downloaded
from velora.nn.cells.base import Cell
from velora.nn.cells.registry import register_cell

OwnClass = TypeVar("OwnClass", bound=type[Agent] | type[Cell])


def load(
    dirpath: str | Path,
    *,
    buffer: bool = False,
    device: str | torch.device | None = None,
    kernel: str = "auto",
) -> Agent:
    """Read an agent from a directory that ``agent.save`` or a training run wrote; the checkpoint names the class.

    The name is the key of a class of Velora or one that :func:`velora.register` was given. Nothing in the files is
    imported or run.

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


def from_pretrained(
    repo: str, *, revision: str | None = None, device: str | torch.device | None = None, kernel: str = "auto"
) -> Agent:
    """Download an agent that ``velora push`` shared on a Hub; the checkpoint names the class, as in :func:`load`.

    It takes the extra ``hub``. Nothing stays on the disk; ``velora pull`` keeps a copy.

    Args:
        repo: ``user/name``.
        revision: a branch, a tag or a commit; ``None`` is the newest.
        device: where to put the agent; ``None`` chooses.
        kernel: what computes; see the agent's constructor.

    Raises:
        HubError: if the Hub doesn't answer, or has no such repository, revision or checkpoint.
        CheckpointError: if it is damaged, or no class is registered under the checkpoint's key.
    """
    with downloaded(repo, revision) as path:
        return load(path, device=device, kernel=kernel)


def register(kind: OwnClass) -> OwnClass:
    """Let settings and checkpoints find a class of one's own, an agent or a cell; the decorator of such a class.

    A checkpoint names an agent by its ``key`` and a cell as ``"my_module.MyCell"``, and imports neither: nothing is
    found that wasn't registered in this process.

    Example:
        >>> import velora
        >>> from velora.models import LiquidDDPG
        >>> @velora.register
        ... class MyAgent(LiquidDDPG):
        ...     key = "my_agent"

    Raises:
        SettingError: if it is neither an agent nor a cell, or an agent without a key of its own, or with that of
            another class.
    """
    if isinstance(kind, type) and issubclass(kind, Cell):
        register_cell(kind)
        return kind
    if not (isinstance(kind, type) and issubclass(kind, Agent)):
        raise SettingError(
            f"register: expected a subclass of velora.models.Agent or velora.nn.cells.Cell, got {kind!r}"
        )
    if not vars(kind).get("key"):
        raise SettingError(f'register: expected a key of its own in {kind.__name__}, such as key = "my_agent"')
    agents.register(kind.key)(kind)
    return kind


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
            f"import the module of your own class first, which has the decorator @velora.register and key = {key!r}"
        )
        raise CheckpointError(
            f"{checkpoint.path}: holds an agent {key!r}, expected one of {', '.join(sorted(agents))}; {advice}"
        )
    found: type[Agent] = agents.get(key)
    return found
