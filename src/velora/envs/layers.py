"""The wrappers around an environment: which are part of its making, and which its user put around it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, load_env_creator

from velora.core.errors import SpaceError
from velora.envs.watched import Watched

Env: TypeAlias = gym.Env[Any, Any]
Layer: TypeAlias = gym.Wrapper[Any, Any, Any, Any]

WATCHING = (
    gym.wrappers.PassiveEnvChecker,
    gym.wrappers.RecordVideo,
    gym.wrappers.HumanRendering,
    gym.wrappers.RenderCollection,
    Watched,
)
"""Wrappers that only look on; copies of an environment go without."""


@dataclass(frozen=True)
class Stack:
    """An environment taken apart.

    Attributes:
        base: the innermost environment.
        time_limit: steps after which an episode is truncated by what ``gymnasium.make`` put around it.
        own: the wrappers that its user put around it, from the inside out.
        is_sure: whether it could be told which wrappers are the user's.
    """

    base: Env
    time_limit: int | None
    own: tuple[Layer, ...]
    is_sure: bool = True


def layers(env: Env) -> list[Layer]:
    """List the wrappers around an environment, from the inside out."""
    found: list[Layer] = []
    while isinstance(env, gym.Wrapper):
        found.append(env)
        env = env.env
    return found[::-1]


def base(env: Env) -> Env:
    """Return the environment inside all wrappers."""
    while isinstance(env, gym.Wrapper):
        env = env.env
    return env


def spec(env: Env) -> EnvSpec | None:
    """Return what an environment is registered as.

    ``env.spec`` of a wrapper copies all arguments, once for every wrapper; this one copies nothing.
    """
    return base(env).spec


def taken_apart(env: Env) -> Stack:
    """Tell the wrappers that ``gymnasium.make`` puts around an environment from those of its user.

    ``make`` puts around what the entry point gives: a checker, ``OrderEnforcing``, ``TimeLimit``, and the wrappers that
    were registered with it.
    """
    around, inner = layers(env), base(env)
    known = inner.spec
    if known is None:
        return Stack(inner, None, tuple(around))
    at, is_sure = _first_after_order(around, known)
    limit = None
    if at < len(around) and type(around[at]) is gym.wrappers.TimeLimit:
        limit = int(around[at]._max_episode_steps)  # type: ignore[attr-defined]
        at += 1
    registered = gym.registry.get(known.id)
    for one in registered.additional_wrappers if registered is not None else ():
        if at < len(around) and one.entry_point == _entry_point(around[at]):
            at += 1
    return Stack(inner, limit, tuple(around[at:]), is_sure)


def _first_after_order(around: list[Layer], known: EnvSpec) -> tuple[int, bool]:
    """Find the first wrapper outside of the one that ``make`` enforces the order of calls with."""
    enforcing = [at for at, layer in enumerate(around) if type(layer) is gym.wrappers.OrderEnforcing]
    if len(enforcing) == 1:
        return enforcing[0] + 1, True
    if not around:
        return 0, True
    try:  # an entry point that makes another environment, or a user who enforces the order: only making it tells
        made = made_by_entry_point(known)
        inside = len(layers(made))
        made.close()
    except Exception:  # noqa: BLE001 - the code of a user, who is told that it failed
        return (enforcing[0] + 1 if enforcing else 0), False
    while inside < len(around) and type(around[inside]) in (
        gym.wrappers.PassiveEnvChecker,
        gym.wrappers.OrderEnforcing,
    ):
        inside += 1
    return inside, True


def made_by_entry_point(known: EnvSpec, kwargs: Mapping[str, Any] | None = None) -> Env:
    """Make what is registered, without the wrappers that ``gymnasium.make`` puts around it.

    Args:
        kwargs: the keywords to make it with; ``None`` are those that it was made with.

    Raises:
        SpaceError: if there is nothing to make it with, or what is made is no environment.
    """
    if known.entry_point is None:
        raise SpaceError(f"env: {known.id} is registered without an entry point")
    creator = known.entry_point if callable(known.entry_point) else load_env_creator(known.entry_point)
    made = creator(**(known.kwargs if kwargs is None else kwargs))
    if not isinstance(made, gym.Env):
        raise SpaceError(f"env: expected {known.id} to make a gymnasium environment, got {type(made).__name__}")
    return made


def recorded(layer: Layer) -> dict[str, Any] | None:
    """Return the arguments that a wrapper was made with, beside the environment; ``None`` if it doesn't tell.

    A subclass whose constructor takes other arguments than it hands on has recorded those of its base class: it
    doesn't tell either.
    """
    if not isinstance(layer, gym.utils.RecordConstructorArgs):
        return None
    kind = type(layer)
    maker: Any = next(one for one in kind.__mro__ if "__init__" in vars(one))
    names = getattr(getattr(maker.__init__, "__code__", None), "co_names", ())
    if gym.utils.RecordConstructorArgs not in maker.__bases__ and "RecordConstructorArgs" not in names:
        return None
    kwargs = {name: value for name, value in layer._saved_kwargs.items() if name != "env"}
    try:
        inspect.signature(kind).bind(layer.env, **kwargs)
    except (TypeError, ValueError):
        return None
    return kwargs


def _entry_point(layer: Layer) -> str:
    return f"{type(layer).__module__}:{type(layer).__name__}"
