"""Gymnasium environments as the trainer uses them."""

from velora.envs.make import EnvironmentSource, describe
from velora.envs.spaces import ActionBounds, check_spaces
from velora.envs.vector import Environments

__all__ = ["ActionBounds", "EnvironmentSource", "Environments", "check_spaces", "describe"]
