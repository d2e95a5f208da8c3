"""Make an environment again: the same entry point with the same arguments, and the same wrappers around it."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec

from velora.core.errors import SpaceError
from velora.envs import layers
from velora.envs.layers import Env, Layer

Maker: TypeAlias = Callable[[], Env]
_LARGE = 10_000
"""Entries from which on a container is data, and shared."""
_PLAIN = (bool, int, float, str, np.generic)
_GENERATORS = (np.random.Generator, np.random.RandomState, np.random.BitGenerator, random.Random)


def maker(env: Env, *, render_mode: str | None = None) -> tuple[Maker | None, str]:
    """Return a function that makes an environment again, or ``None`` and why there is none.

    Copies get the arguments that the environment was made with: their containers anew, so that none changes another's,
    and what is in them shared, so that a large table is in memory once. They aren't recorded or shown: nobody watches.

    Args:
        render_mode: how they draw; ``None`` is as the environment does, but for a window.
    """
    known = layers.spec(env)
    if known is None or known.entry_point is None:
        return None, "it isn't registered"
    stack = layers.taken_apart(env)
    if not stack.is_sure:
        return None, "its entry point can't be called again"
    for layer in stack.own:
        if not _is_watching(type(layer)) and layers.recorded(layer) is None:
            return None, _untold(type(layer))
    kwargs = fresh(known.kwargs)  # as they are now, whatever becomes of them
    around = [_Around(type(one), layers.recorded(one), vars(one).get("_saved_kwargs")) for one in layers.layers(env)]
    if render_mode is not None:
        kwargs["render_mode"] = render_mode
    elif kwargs.get("render_mode") == "human":
        del kwargs["render_mode"]
    return partial(_made, known, kwargs, around), ""


def unlike(env: Env, again: Env, *, but: Collection[str] = ()) -> str:
    """Name the attributes in which an environment differs from a copy of it; "" if nothing is seen to.

    Numbers and words among the attributes are compared, of the environment and of its wrappers, but for those that an
    episode changes. They differ where a user has set one after the making, or where chance has.

    Args:
        but: attributes that aren't compared.
    """
    found = [one for one in _different(env, again) if one[0] not in but]
    if not found:
        return ""
    try:
        again.reset(seed=0)
        again.step(again.action_space.sample())
    except Exception:  # noqa: BLE001 - the code of a user, which will fail where it is used
        return ""
    lasting = [one for one in _different(env, again) if one in found]
    return "; ".join(f"its {name} is {here} here and {there} in a copy" for name, here, there in lasting[:3])


def _different(env: Env, again: Env) -> Iterator[tuple[str, str, str]]:
    own, others = (
        [layers.base(one), *(layer for layer in layers.layers(one) if not _is_watching(type(layer)))]
        for one in (env, again)
    )
    for one, other in zip(own, others, strict=True):
        for name, here in vars(one).items():
            there = vars(other).get(name, here)
            is_plain = isinstance(here, _PLAIN) and isinstance(there, _PLAIN)
            if is_plain and not name.startswith("_") and name != "render_mode" and repr(here) != repr(there):
                yield name, repr(here), repr(there)


def mute(env: Env) -> None:
    """Let no ``RecordVideo`` around a copy record: it would write over the videos of the first environment."""
    for layer in layers.layers(env):
        if isinstance(layer, gym.wrappers.RecordVideo):
            layer.episode_trigger = layer.step_trigger = None


def fresh(value: Any) -> Any:
    """Copy the containers and generators in an argument, and share everything else; large containers too.

    Example:
        >>> table = np.zeros(3)
        >>> again = fresh({"levels": [1, 2], "table": table})
        >>> again["levels"].append(3), again["table"] is table
        (None, True)
    """
    if type(value) in (dict, list, tuple, set) and len(value) > _LARGE:
        return value
    if type(value) is dict:
        return {key: fresh(one) for key, one in value.items()}
    if type(value) in (list, tuple, set):
        return type(value)(fresh(one) for one in value)
    return copy.deepcopy(value) if isinstance(value, _GENERATORS) else value


class _Around(NamedTuple):
    """A wrapper around an environment, as it is put around another one."""

    kind: type[Layer]
    kwargs: dict[str, Any] | None
    saved: dict[str, Any] | None


def _made(known: EnvSpec, kwargs: dict[str, Any], around: Sequence[_Around]) -> Env:
    made = layers.made_by_entry_point(known, fresh(kwargs))
    inside = layers.layers(made)
    if [type(layer) for layer in inside] != [layer.kind for layer in around[: len(inside)]]:
        raise SpaceError(f"env: {known.id} doesn't make the environment again that it made before")
    again = copy.copy(known)
    again.kwargs = kwargs
    layers.base(made).spec = again
    for layer in around[len(inside) :]:
        if _is_watching(layer.kind):
            continue
        if layer.kwargs is None:
            raise SpaceError(f"env: {_untold(layer.kind)}")
        made = layer.kind(made, **fresh(layer.kwargs))
        vars(made)["_saved_kwargs"] = layer.saved  # its own are a deep copy
    return made


def _untold(kind: type[Layer]) -> str:
    return f"its wrapper {kind.__name__} doesn't tell its arguments (gymnasium.utils.RecordConstructorArgs)"


def _is_watching(kind: type[Layer]) -> bool:
    return kind in layers.WATCHING or issubclass(kind, gym.wrappers.RecordVideo)
