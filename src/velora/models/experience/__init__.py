"""Kinds of experience that agents learn from, each a part that an agent has."""

from velora.models.experience.replay import Replay
from velora.models.experience.rollout import Rollouts

__all__ = ["Replay", "Rollouts"]
