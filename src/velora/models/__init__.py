"""The agents."""

from velora.models.agent import Agent
from velora.models.ddpg import LiquidDDPG
from velora.models.ppo import LiquidPPO
from velora.models.sac import LiquidSAC
from velora.models.td3 import LiquidTD3

__all__ = ["Agent", "LiquidDDPG", "LiquidPPO", "LiquidSAC", "LiquidTD3"]
