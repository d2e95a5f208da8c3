"""Checkpoints: directories that are saved whole or not at all, verified when read, and run nothing they contain."""

from typing import TYPE_CHECKING

from velora.core.lazy import on_demand

if TYPE_CHECKING:
    from velora.checkpoint.directory import Checkpoint
    from velora.checkpoint.files import MissingCheckpointError
    from velora.checkpoint.registry import Registry, agents
    from velora.checkpoint.schema import Metadata

__all__ = ["Checkpoint", "Metadata", "MissingCheckpointError", "Registry", "agents"]
__getattr__, __dir__ = on_demand(
    __name__,
    {
        "Checkpoint": "directory",
        "Metadata": "schema",
        "MissingCheckpointError": "files",
        "Registry": "registry",
        "agents": "registry",
    },
)
