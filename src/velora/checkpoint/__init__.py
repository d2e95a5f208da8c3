"""Checkpoints: directories that are saved whole or not at all, verified when read, and run nothing they contain."""

from velora.checkpoint.directory import Checkpoint
from velora.checkpoint.files import MissingCheckpointError
from velora.checkpoint.registry import Registry, agents
from velora.checkpoint.schema import Metadata

__all__ = ["Checkpoint", "Metadata", "MissingCheckpointError", "Registry", "agents"]
