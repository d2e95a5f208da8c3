"""Make an environment harder to see: partial observation, and time that doesn't pass regularly.

Every wrapper records its arguments, so that further environments can be made from one, and draws only from a generator
that ``reset(seed)`` seeds, so that an episode can be lived again exactly. Every file here that registers a wrapper
(:mod:`velora.envs.wrappers.registry`) is found and offered here; the imports below only tell type checkers the class.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from velora.core.errors import SettingError
from velora.envs import values
from velora.envs.gymnasium_wrappers import GYMNASIUM, put_around
from velora.envs.wrappers import registry
from velora.envs.wrappers.drop_observation import DropObservation
from velora.envs.wrappers.flicker import Flicker
from velora.envs.wrappers.hold_action import HoldAction
from velora.envs.wrappers.noisy_observation import NoisyObservation
from velora.envs.wrappers.previous_action_reward import PreviousActionReward
from velora.envs.wrappers.privileged_state import PrivilegedState

__all__ = [
    "DropObservation",
    "Flicker",
    "HoldAction",
    "NoisyObservation",
    "PreviousActionReward",
    "PrivilegedState",
    "wrap",
]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

KNOWN = registry.known()
"""All wrappers that a description can name, from the inside out."""
globals().update({name: row.kind for name, row in KNOWN.items()})
__all__ += [name for name in KNOWN if name not in __all__]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Stand for a wrapper that is not imported above: a type checker takes the name, and any arguments."""


def wrap(env: gym.Env[Any, Any], described: Iterable[Mapping[str, Any]]) -> gym.Env[Any, Any]:
    """Put wrappers around an environment, from the inside out, as a checkpoint or the settings describe them.

    Only Velora's own wrappers and some of Gymnasium's can be named: a file never decides which code runs. Those that
    keep statistics go on with the described ones, without changing them.

    Args:
        described: for each wrapper ``{"name": str, "kwargs": dict}``, as :func:`velora.envs.describe` says them.

    Raises:
        SettingError: if a wrapper is unknown, or its keywords don't fit.
        SpaceError: if the environment can't be wrapped.
    """
    for one in described:
        name, kwargs = one.get("name"), one.get("kwargs", {})
        row = KNOWN.get(name) if isinstance(name, str) else None
        if row is None and isinstance(name, str) and name in GYMNASIUM:
            env = put_around(env, name, one)
            continue
        if row is None:
            raise SettingError(f"wrappers: expected one of {', '.join((*KNOWN, *GYMNASIUM))}, got {name!r}")
        if not isinstance(kwargs, Mapping) or not set(kwargs) <= set(row.options):
            raise SettingError(f"wrappers: {name} takes {', '.join(row.options) or 'no keywords'}, got {kwargs!r}")
        env = row.kind(env, **values.arguments(kwargs))
    return env
