"""The one training loop, its hooks, its evaluation and its exact resume."""

from velora.training.result import TrainResult
from velora.training.trainer import Trainer

__all__ = ["TrainResult", "Trainer"]
