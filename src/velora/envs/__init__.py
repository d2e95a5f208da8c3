"""Gymnasium environments as the trainer uses them."""

from typing import TYPE_CHECKING

from velora.core.lazy import on_demand
from velora.envs.images import check_image, image_settings
from velora.envs.spaces import (
    ActionBounds,
    ActionUnits,
    DiscreteActions,
    check_spaces,
    default_units,
    dimensions,
    is_discrete,
)

if TYPE_CHECKING:
    from velora.envs.make import EnvironmentSource, describe, flattened
    from velora.envs.vector import Environments

__all__ = [
    "ActionBounds",
    "ActionUnits",
    "DiscreteActions",
    "EnvironmentSource",
    "Environments",
    "check_image",
    "check_spaces",
    "default_units",
    "describe",
    "dimensions",
    "flattened",
    "image_settings",
    "is_discrete",
]
__getattr__, __dir__ = on_demand(
    __name__, {"EnvironmentSource": "make", "describe": "make", "flattened": "make", "Environments": "vector"}
)
