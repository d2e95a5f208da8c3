"""Environments that are registered with Gymnasium, by their ids."""

from __future__ import annotations

import importlib

import gymnasium as gym

from velora.core.errors import SpaceError
from velora.core.names import did_you_mean


def find_spec(env_id: str) -> gym.envs.registration.EnvSpec:
    """Look an id up among Gymnasium's registered environments.

    As in ``gymnasium.make``, ``my_module:MyEnv-v0`` imports the module that registers the environment first.

    Raises:
        SpaceError: if it isn't there; the message names the nearest one, or the module that is missing.
    """
    module, _, registered_id = env_id.rpartition(":")
    if module:
        _import_registering(module, env_id)
    try:
        return gym.spec(registered_id)
    except (gym.error.Error, ImportError, ValueError) as error:
        unknown = (
            "see gymnasium.registry for the known ones"
            if module
            else f"if a module of yours registers it, name that first: my_module:{' '.join(registered_id.split())}"
        )
        hint = did_you_mean(registered_id, gym.registry, unknown, written=repr)
        raise SpaceError(f"env: {registered_id!r} is no registered Gymnasium environment; {hint}") from error


def _import_registering(module: str, env_id: str) -> None:
    """Import a module for what it registers; an error inside of it is its author's, and keeps its traceback."""
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise SpaceError(
            f"env: {env_id!r} needs a module {error.name!r}, which Python can't find; "
            "it is looked for in the directory you are in, beside your script, and among what is installed"
        ) from error
