"""Preallocated stores of experience."""

from velora.buffers.replay import Batch, ReplayBuffer

__all__ = ["Batch", "ReplayBuffer"]
