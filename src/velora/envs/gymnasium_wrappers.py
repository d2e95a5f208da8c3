"""Gymnasium's wrappers that a description of an environment may name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
from gymnasium import wrappers as its

from velora.core.errors import SettingError, SpaceError
from velora.envs import statistics, values
from velora.envs.layers import Env, Layer

GYMNASIUM: Mapping[str, type[Layer]] = {
    kind.__name__: kind
    for kind in (
        its.AddRenderObservation, its.AddWhiteNoise, its.AtariPreprocessing, its.Autoreset, its.ClipAction,
        its.ClipReward, its.DelayObservation, its.DiscretizeAction, its.DiscretizeObservation, its.DtypeObservation,
        its.FilterObservation, its.FlattenObservation, its.FrameStackObservation, its.GrayscaleObservation,
        its.MaxAndSkipObservation, its.NormalizeObservation, its.NormalizeReward, its.ObstructView, its.OrderEnforcing,
        its.RepeatAction, its.RescaleAction, its.RescaleObservation, its.ReshapeObservation, its.ResizeObservation,
        its.StickyAction, its.TimeAwareObservation, its.TimeLimit,
    )
}  # fmt: skip
"""By name: numbers decide what these do, and they write nothing."""
_MOST = 1_000_000
"""Largest whole number that a description may give one, so that none asks for all memory."""


def put_around(env: Env, name: str, one: Mapping[str, Any]) -> Env:
    """Put a wrapper of Gymnasium around an environment; one that keeps statistics keeps to those described.

    Args:
        name: a key of ``GYMNASIUM``.
        one: ``{"kwargs": dict}``, arguments as :func:`velora.envs.values.encode` writes them, and ``"statistics"``.

    Raises:
        SettingError: if it takes other keywords.
        SpaceError: if it can't be put around this environment, or its statistics are missing or don't fit.
    """
    kind, kwargs = GYMNASIUM[name], values.arguments(one.get("kwargs", {}))
    known = list(inspect.signature(kind).parameters)[1:]
    if not set(kwargs) <= set(known) or values.largest_integer(kwargs) > _MOST:
        raise SettingError(f"{name}: takes {', '.join(known) or 'no keywords'}, got {str(kwargs)[:200]}")
    try:
        made: Env = kind(env, **kwargs)
    except Exception as error:
        first = " ".join(str(error).split())[:200]
        raise SpaceError(f"{name}: can't be put around it ({type(error).__name__}: {first})") from error
    if isinstance(made, gym.Wrapper) and statistics.of(made):
        given = one.get("statistics")
        statistics.read(made, given if isinstance(given, Mapping) else {})
        statistics.freeze(made)
    return made
