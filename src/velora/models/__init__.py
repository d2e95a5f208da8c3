"""The agents."""

from velora.models.agent import Agent
from velora.models.ddpg import LiquidDDPG

__all__ = ["Agent", "LiquidDDPG"]
