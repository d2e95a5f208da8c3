"""The agents."""

from velora.models.agent import Agent
from velora.models.ddpg import LiquidDDPG
from velora.models.off_policy import OffPolicyAgent
from velora.models.td3 import LiquidTD3

__all__ = ["Agent", "LiquidDDPG", "LiquidTD3", "OffPolicyAgent"]
