"""Preallocated stores of experience."""

from velora.buffers.base import Buffer
from velora.buffers.device import DeviceReplayBuffer
from velora.buffers.replay import Batch, ReplayBuffer
from velora.buffers.rollout import Rollout, RolloutBuffer

__all__ = ["Batch", "Buffer", "DeviceReplayBuffer", "ReplayBuffer", "Rollout", "RolloutBuffer"]
