"""The agents. Their settings can be imported alone, without PyTorch."""

from typing import TYPE_CHECKING

from velora.core.lazy import on_demand
from velora.models.keywords import AGENTS

_NAMES = ["Agent", *(path.rpartition(".")[2] for path, _ in AGENTS.values())]

if TYPE_CHECKING:
    from velora.models.agents import *  # noqa: F403
else:
    __all__ = _NAMES
__getattr__, __dir__ = on_demand(__name__, dict.fromkeys(_NAMES, "agents"))
