"""Running statistics that wrappers keep from one episode to the next, as Gymnasium's ``NormalizeObservation`` does."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
from gymnasium.wrappers.utils import RunningMeanStd

from velora.core.errors import SpaceError
from velora.envs import values
from velora.envs.layers import Env, Layer, layers

Kept: TypeAlias = Sequence[Mapping[str, Any]]
"""The statistics of each wrapper that keeps any, from the inside out, by the name of the attribute."""
_CARRIED = "discounted_reward"
"""Attribute of ``NormalizeReward`` that goes on over the ends of episodes."""


def keepers(env: Env) -> list[Layer]:
    """List the wrappers that keep statistics, from the inside out."""
    return [layer for layer in layers(env) if of(layer)]


def of(layer: Layer) -> dict[str, Any]:
    """Return the statistics of one wrapper; empty if it keeps none."""
    found = {name: value for name, value in vars(layer).items() if isinstance(value, RunningMeanStd)}
    if found and _CARRIED in vars(layer):
        found[_CARRIED] = vars(layer)[_CARRIED]
    return found


def kept(env: Env) -> Kept:
    """Copy the statistics of an environment, as they are now."""
    return [copy.deepcopy(of(layer)) for layer in keepers(env)]


def give(env: Env, statistics: Kept) -> None:
    """Let an environment go on with statistics of another one that has the same wrappers.

    Raises:
        SpaceError: if it has other wrappers.
    """
    own = keepers(env)
    if [of(layer).keys() for layer in own] != [one.keys() for one in statistics]:
        raise SpaceError("env: the function gave other wrappers than before; give the same around every environment")
    for layer, one in zip(own, statistics, strict=True):
        vars(layer).update(copy.deepcopy(dict(one)))


@contextmanager
def back_at_an_error(env: Env) -> Iterator[Kept]:
    """Give a copy of the statistics of an environment, and put them back if what is done with it raises."""
    before = kept(env)
    try:
        yield before
    except BaseException:
        give(env, before)
        raise


def freeze(env: Env) -> None:
    """Let the wrappers of an environment use their statistics from now on without changing them."""
    for layer in keepers(env):
        _freeze(layer)


@contextmanager
def at_rest(envs: Iterable[Env]) -> Iterator[None]:
    """Use environments without changing what their wrappers keep."""
    before = [(layer, dict(vars(layer))) for env in envs for layer in keepers(env)]
    try:
        for layer, _ in before:
            vars(layer).update(copy.deepcopy(of(layer)))
            _freeze(layer)
        yield
    finally:
        for layer, attributes in before:
            vars(layer).update(attributes)


def _freeze(layer: Layer) -> None:
    if hasattr(layer, "update_running_mean"):
        layer.update_running_mean = False


def plain(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return the statistics of a wrapper as arrays and numbers, for a checkpoint."""
    return {
        name: {"mean": one.mean, "var": one.var, "count": float(one.count)} if isinstance(one, RunningMeanStd) else one
        for name, one in kept.items()
    }


def read(layer: Layer, written: Mapping[str, Any]) -> None:
    """Give a wrapper the statistics that :func:`plain` gave, once written and read.

    Raises:
        SpaceError: if they are missing, have another shape, or a negative variance or count.
    """
    own = of(layer)
    if written.keys() != own.keys():
        raise SpaceError(f"{type(layer).__name__}: its statistics are missing")
    for name, before in own.items():
        said = values.decode(written[name])
        if not isinstance(before, RunningMeanStd):
            vars(layer)[name] = _checked(layer, said, before)
            continue
        after = copy.copy(before)
        try:
            after.mean, after.var = (_checked(layer, said[key], before.mean) for key in ("mean", "var"))
            after.count = float(said["count"])
        except (KeyError, TypeError, ValueError) as error:
            raise SpaceError(f"{type(layer).__name__}: its statistics are unreadable") from error
        if not (np.min(after.var) >= 0.0 and 0.0 <= after.count < np.inf):
            raise SpaceError(f"{type(layer).__name__}: its statistics have a negative variance or count")
        vars(layer)[name] = after


def _checked(layer: Layer, said: Any, before: Any) -> Any:
    numbers = np.asarray(said)
    if numbers.dtype.kind != "f" or numbers.shape != np.shape(before) or not np.isfinite(numbers).all():
        raise SpaceError(f"{type(layer).__name__}: its statistics have another shape, or aren't finite")
    return numbers if np.ndim(before) else said


def go_on(env: Env, described: Mapping[str, Any], at: int = 0) -> None:
    """Let an environment go on with the statistics in a description of one like it, if there are any.

    Args:
        at: which one it is of those that the description says the statistics of; all beyond are as the first.

    Raises:
        SpaceError: if they don't fit.
    """
    stacks = [described.get("wrappers", ()), *described.get("others", ())]
    own = stacks[at if at < len(stacks) else 0]
    said = [(one["name"], one["statistics"]) for one in own if "statistics" in one]
    for layer in keepers(env):
        if said and type(layer).__name__ == said[0][0]:
            read(layer, said.pop(0)[1])
