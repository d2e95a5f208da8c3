"""The agents. Their settings can be imported alone, without PyTorch."""

from typing import TYPE_CHECKING

from velora.core.lazy import on_demand

if TYPE_CHECKING:
    from velora.models.agents import Agent, LiquidDDPG, LiquidPPO, LiquidSAC, LiquidTD3

__all__ = ["Agent", "LiquidDDPG", "LiquidPPO", "LiquidSAC", "LiquidTD3"]
__getattr__, __dir__ = on_demand(__name__, dict.fromkeys(__all__, "agents"))
