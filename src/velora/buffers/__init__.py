"""Preallocated stores of experience."""

from velora.buffers.base import Buffer
from velora.buffers.replay import Batch, ReplayBuffer
from velora.buffers.rollout import Rollout, RolloutBuffer

__all__ = ["Batch", "Buffer", "ReplayBuffer", "Rollout", "RolloutBuffer"]
