"""Make an environment harder to see: partial observation, and time that doesn't pass regularly.

Every wrapper records its arguments, so that further environments can be made from one, and draws only from a generator
that ``reset(seed)`` seeds, so that an episode can be lived again exactly.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import gymnasium as gym

from velora.core.errors import SettingError
from velora.envs.wrappers.drop_observation import DropObservation
from velora.envs.wrappers.flicker import Flicker
from velora.envs.wrappers.hold_action import HoldAction
from velora.envs.wrappers.noisy_observation import NoisyObservation
from velora.envs.wrappers.previous_action_reward import PreviousActionReward

__all__ = ["DropObservation", "Flicker", "HoldAction", "NoisyObservation", "PreviousActionReward", "wrap"]

KNOWN: dict[str, type[gym.Wrapper[Any, Any, Any, Any]]] = {
    kind.__name__: kind for kind in (HoldAction, DropObservation, NoisyObservation, Flicker, PreviousActionReward)
}
"""All wrappers that a description can name, from the inside out."""


def wrap(env: gym.Env[Any, Any], described: Iterable[Mapping[str, Any]]) -> gym.Env[Any, Any]:
    """Put wrappers around an environment, from the inside out, as a checkpoint or the settings describe them.

    Only Velora's own wrappers can be named: what a file says never decides which code runs.

    Args:
        described: for each wrapper ``{"name": str, "kwargs": dict}``.

    Raises:
        SettingError: if a wrapper is unknown, or its keywords don't fit.
        SpaceError: if the environment can't be wrapped.
    """
    for one in described:
        name, kwargs = one.get("name"), one.get("kwargs", {})
        kind = KNOWN.get(name) if isinstance(name, str) else None
        if kind is None:
            raise SettingError(f"wrappers: expected one of {', '.join(KNOWN)}, got {name!r}")
        takes = [keyword for keyword in inspect.signature(kind).parameters if keyword != "env"]
        if not isinstance(kwargs, Mapping) or not set(kwargs) <= set(takes):
            raise SettingError(f"wrappers: {name} takes {', '.join(takes) or 'no keywords'}, got {kwargs!r}")
        env = kind(env, **kwargs)
    return env
