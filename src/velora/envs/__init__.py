"""Gymnasium environments as the trainer uses them."""

from typing import TYPE_CHECKING

from velora.core.lazy import on_demand
from velora.envs.action_spaces import is_discrete
from velora.envs.actions import ActionBounds, ActionUnits, DiscreteActions, default_units
from velora.envs.images import check_image, image_settings
from velora.envs.privileged import check_privileged, privileged_size
from velora.envs.spaces import check_spaces, dimensions

if TYPE_CHECKING:
    from velora.envs.check import Report, check_environment
    from velora.envs.description import describe
    from velora.envs.make import EnvironmentSource, flattened
    from velora.envs.vector import Environments

__all__ = [
    "ActionBounds",
    "ActionUnits",
    "DiscreteActions",
    "EnvironmentSource",
    "Environments",
    "Report",
    "check_environment",
    "check_image",
    "check_privileged",
    "check_spaces",
    "default_units",
    "describe",
    "dimensions",
    "flattened",
    "image_settings",
    "is_discrete",
    "privileged_size",
]
__getattr__, __dir__ = on_demand(
    __name__,
    {
        "EnvironmentSource": "make",
        "Environments": "vector",
        "Report": "check",
        "check_environment": "check",
        "describe": "description",
        "flattened": "make",
    },
)
