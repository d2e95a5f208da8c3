"""The one training loop, its hooks, its evaluation and its exact resume."""

from typing import TYPE_CHECKING

from velora.core.lazy import on_demand
from velora.training.result import TrainResult

if TYPE_CHECKING:
    from velora.training.trainer import Trainer

__all__ = ["TrainResult", "Trainer"]
__getattr__, __dir__ = on_demand(__name__, {"Trainer": "trainer"})
