"""Make the environment that settings or a checkpoint name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import gymnasium as gym
from omegaconf import DictConfig, OmegaConf

from velora.core.errors import SettingError, SpaceError
from velora.envs import EnvironmentSource
from velora.envs.make import Env
from velora.envs.wrappers import KNOWN, wrap

Wrappers: TypeAlias = Sequence[Mapping[str, Any]]
"""As :func:`velora.envs.wrappers.wrap` takes them."""

_GROUPS = {
    "HoldAction": "time",
    "DropObservation": "mask",
    "NoisyObservation": "noise",
    "Flicker": "flicker",
    "PreviousActionReward": "previous",
}
"""The group below ``env`` that a wrapper's settings are in; the first of them switches it on."""


def chosen_wrappers(env: DictConfig) -> dict[str, Mapping[str, Any] | None]:
    """Read which wrappers the settings ask for.

    Returns:
        Of every wrapper of which they say anything, the description, or ``None`` if it isn't to be there.

    Raises:
        SettingError: if a wrapper is told how to be, and not to be there.
    """
    found: dict[str, Mapping[str, Any] | None] = {}
    for name, group in _GROUPS.items():
        if env.get(group) is None:
            continue
        own: Any = OmegaConf.to_container(env[group], resolve=True)
        switch, first = next(iter(own.items()))
        if group == "previous":
            del own[switch]  # only says whether the wrapper is to be there
        kwargs = {key: value for key, value in own.items() if value is not None}
        is_on = first is not None and (group != "previous" or first is True)
        if kwargs and not is_on:
            idle = next(iter(kwargs))
            raise SettingError(
                f"env.{group}.{idle}: says nothing without env.{group}.{switch}; give that too, or choose one with "
                f"env/{group}=..."
            )
        found[name] = {"name": name, "kwargs": kwargs} if is_on else None
    return found


def merged(saved: Wrappers, chosen: Mapping[str, Mapping[str, Any] | None]) -> Wrappers:
    """Put the wrappers that were chosen in the place of saved ones of their kind, or where their kind belongs."""
    kept = [chosen.get(one["name"], one) for one in saved]
    found = [one for one in kept if one is not None]
    order = list(KNOWN)
    for name, one in chosen.items():
        if one is not None and all(other["name"] != name for other in found):
            inside = [other for other in found if order.index(other["name"]) < order.index(name)]
            found.insert(len(inside), one)
    return found


def make_environment(
    env_id: str, kwargs: Mapping[str, Any], *, wrappers: Wrappers = (), render: str | None = None
) -> Env:
    """Make a registered environment with flat observations, and Velora's wrappers around it.

    Args:
        env_id: its Gymnasium id; ``my_module:MyEnv-v0`` imports the module that registers it first.
        kwargs: keywords for ``gymnasium.make``.
        wrappers: from the inside out.
        render: a render mode, such as ``"human"``.

    Raises:
        SpaceError: if the id is unknown, something the environment needs isn't installed, its observations
            aren't numbers, or it can't be wrapped.
        SettingError: if the environment doesn't take a keyword, or a wrapper a setting.
    """
    env = _make_bare(env_id, dict(kwargs) if render is None else {**kwargs, "render_mode": render})
    for one in wrappers:
        try:
            env = wrap(env, [one])
        except (SettingError, SpaceError) as error:
            env.close()
            raise type(error)(f"env.{_GROUPS[one['name']]}.{error}") from error
    return env


def _make_bare(env_id: str, given: Mapping[str, Any]) -> Env:
    try:
        return EnvironmentSource(env_id, given).make()
    except gym.error.Error as error:
        raise SpaceError(f"env: {env_id} can't be made: {str(error).splitlines()[0]}") from error
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise SettingError(f"env.kwargs: {env_id} takes other keywords: {str(error).splitlines()[0]}") from error
