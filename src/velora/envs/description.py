"""Description of an environment in a checkpoint: enough to make it again, and the names of missing parts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium as gym

from velora.core.errors import SpaceError
from velora.envs import layers, statistics, values
from velora.envs.flat import Flattened
from velora.envs.gymnasium_wrappers import GYMNASIUM
from velora.envs.layers import Env, Layer
from velora.envs.said import without_statistics
from velora.envs.wrappers import KNOWN

_WITHOUT_EFFECT = (*layers.WATCHING, gym.wrappers.RecordEpisodeStatistics)
_NEW = ("max_episode_steps", "missing")
"""Members of a description that older ones don't have."""
_LONGEST, _LONGEST_IN_ALL = 60_000, 300_000
"""Characters that one argument takes in a checkpoint, and all together, of the 1 MiB that its JSON may have."""


def describe(env: Env, kept: statistics.Kept | None = None) -> dict[str, Any]:
    """Describe an environment in JSON, for a checkpoint.

    Args:
        kept: the statistics of its wrappers, where they aren't to be those of now.

    Returns:
        ``{"id": str, "kwargs": dict}``, as :func:`velora.envs.values.encode` writes arguments; the id of an
        unregistered environment is its class name. Of a registered one also ``max_episode_steps``. Where there are
        any, ``"wrappers"``, from the inside out: ``{"name": str, "kwargs": dict}``, with ``"statistics"`` of those that
        keep some. Where something can't be said, ``"missing"``: a line for each such thing.
    """
    stack, missing = layers.taken_apart(env), list[str]()
    known = stack.base.spec
    described: dict[str, Any] = {"id": type(stack.base).__name__ if known is None else known.id, "kwargs": {}}
    own = [layer for layer in stack.own if type(layer) not in _WITHOUT_EFFECT]
    if own and type(own[-1]) in (Flattened, gym.wrappers.FlattenObservation):
        own.pop()  # every environment is flattened where it is made
    rendered = any(isinstance(layer, gym.wrappers.AddRenderObservation) for layer in own)
    for name, value in {} if known is None else known.kwargs.items():
        if name != "render_mode" or rendered:
            _keep(described["kwargs"], name, value, f"its keyword {name}", missing)
    if known is not None:
        described["max_episode_steps"] = stack.time_limit
    if not stack.is_sure:
        missing.append("the wrappers that its entry point makes")
    its_statistics = dict(zip(map(id, statistics.keepers(env)), kept or statistics.kept(env), strict=True))
    wrappers = [_describe_wrapper(layer, its_statistics.get(id(layer), {}), missing) for layer in own]
    inside = [layer for layer in statistics.keepers(env) if layer not in own]
    missing += [f"the statistics of the wrapper {type(layer).__name__}" for layer in inside]
    if said := [one for one in wrappers if one is not None]:
        described["wrappers"] = said
    if len(json.dumps(described)) > _LONGEST_IN_ALL:
        missing.append("its keywords and the arguments of its wrappers, which are too many")
        described["kwargs"] = {}
        described.pop("wrappers", None)
    if missing:
        described["missing"] = missing
    return described


def _describe_wrapper(layer: Layer, kept: Mapping[str, Any], missing: list[str]) -> dict[str, Any] | None:
    kind = gym.wrappers.FlattenObservation if type(layer) is Flattened else type(layer)
    name, kwargs = kind.__name__, layers.recorded(layer)
    row = KNOWN.get(name)
    if kwargs is None or kind is not (GYMNASIUM.get(name) if row is None else row.kind):
        code = f" ({kind.__module__})" if kind.__module__ != "__main__" else ""
        missing.append(f"the wrapper {name}{code}, which is code" + _functions(kwargs))
        return None
    said: dict[str, Any] = {"name": name, "kwargs": {}}
    for key, value in kwargs.items():
        _keep(said["kwargs"], key, value, f"{key} of the wrapper {name}", missing)
    if kept:
        _keep(said, "statistics", statistics.plain(kept), f"the statistics of the wrapper {name}", missing)
    return said


def _functions(kwargs: Mapping[str, Any] | None) -> str:
    names = [name for name, value in (kwargs or {}).items() if callable(value)]
    return f" with the function {names[0]}" if names else ""


def _keep(into: dict[str, Any], name: str, value: Any, of: str, missing: list[str]) -> None:
    """Write an argument down, or that it can't be."""
    try:
        written = values.encode(value)
        if len(json.dumps(written)) <= _LONGEST:
            into[name] = written
            return
    except (SpaceError, RecursionError):
        pass
    missing.append(f"{of} (a {type(value).__name__})")


CHANGEABLE = ("max_episode_steps", "missing")
"""Parts of a description that may change in the rest of a run, if that is said: the time limit, and code that can't be
named."""


def differences(lived: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, str]:
    """Compare two descriptions, a line for each part that differs; statistics aside, which change all the time.

    Args:
        lived: of a checkpoint. An older one names neither the time limit nor other wrappers than Velora's, which are
            taken for the same then.
        given: of the environment at hand.
    """
    comparable: Callable[[Mapping[str, Any]], Mapping[str, Any]] = without_statistics
    if "max_episode_steps" not in lived and "max_episode_steps" in given:
        comparable = _as_before
    old, new = comparable(lived), comparable(given)
    return {
        name: f"{name} was {_shown(old.get(name))}, is {_shown(new.get(name))}"
        for name in [*old, *(name for name in new if name not in old)]
        if old.get(name) != new.get(name)
    }


def _as_before(described: Mapping[str, Any]) -> dict[str, Any]:
    """Reduce a description to what checkpoints held before they named time limits and wrappers of others."""
    said = {key: one for key, one in without_statistics(described).items() if key not in _NEW}
    said["kwargs"] = {}
    for name, value in described.get("kwargs", {}).items():
        try:
            said["kwargs"][name] = values.plain(value)
        except ValueError:
            continue
    own: Sequence[Mapping[str, Any]] = [one for one in said.pop("wrappers", ()) if one["name"] in KNOWN]
    return {**said, "wrappers": own} if own else said


def _shown(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 200 else f"{text[:200]}..."
