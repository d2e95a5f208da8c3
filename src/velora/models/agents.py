"""Every agent: whoever asks ``velora.models`` for one imports them all, so that checkpoints find their class by key."""

from velora.models.agent import Agent
from velora.models.ddpg import LiquidDDPG
from velora.models.ppo import LiquidPPO
from velora.models.redq import LiquidREDQ
from velora.models.sac import LiquidSAC
from velora.models.td3 import LiquidTD3

__all__ = ["Agent", "LiquidDDPG", "LiquidPPO", "LiquidREDQ", "LiquidSAC", "LiquidTD3"]
