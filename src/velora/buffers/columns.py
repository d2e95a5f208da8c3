"""Columns of a packed row: which of its numbers belong to which field of a transition."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import accumulate

import torch
from torch import Tensor

OBSERVATIONS = ("obs", "next_obs")
"""Fields that may be bytes."""
CRITICS = {"critic_obs": "obs", "next_critic_obs": "next_obs"}
"""Fields of batches and rollouts that critics read, and those that they are where critics see no more than policies."""
_FLAGS = ("terminated", "truncated", "start")
_RANGES = dict.fromkeys(_FLAGS, (0.0, 1.0)) | dict.fromkeys(("dt", "next_dt"), (0.0, math.inf))
"""Least and largest value of the fields that have any."""


def widths(
    *,
    obs_dim: int,
    action_dim: int,
    state_size: int,
    as_bytes: bool = False,
    privileged: int = 0,
    more: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """Count the float32 values of every field, in the order in which they lie in a row.

    Privileged numbers lie right after the observation that they belong to, so that both are one view.

    Args:
        obs_dim: numbers in an observation (O); see :class:`velora.buffers.Buffer` for the others.
    """
    obs = _observation_width(obs_dim, as_bytes=as_bytes)
    own = {"privileged": privileged} if privileged else {}
    following = {f"next_{name}": width for name, width in own.items()}
    return {
        "obs": obs, **own, "action": action_dim, "reward": 1, "next_obs": obs, **following, "terminated": 1,
        "truncated": 1, "dt": 1, "next_dt": 1, "start": 1, **(more or {}), "hidden": state_size,
    }  # fmt: skip


def _observation_width(obs_dim: int, *, as_bytes: bool) -> int:
    """Count the float32 values that an observation takes up."""
    return -(-obs_dim // 4) if as_bytes else obs_dim


def columns(of: Mapping[str, int]) -> dict[str, slice]:
    """Place fields of these widths one after the other."""
    ends = accumulate(of.values())
    return {name: slice(end - width, end) for (name, width), end in zip(of.items(), ends, strict=True)}


def critic_columns(at: Mapping[str, slice], *, is_joined: bool) -> dict[str, slice]:
    """Place what critics read instead of ``obs`` and ``next_obs``, by the fields of a batch; empty if they read those.

    Args:
        at: the columns of a row.
        is_joined: whether they read observation and privileged numbers, or these alone.
    """
    if "privileged" not in at:
        return {}
    pairs = [(name, obs, obs.replace("obs", "privileged")) for name, obs in CRITICS.items()]
    return {name: slice(at[obs if is_joined else own].start, at[own].stop) for name, obs, own in pairs}


def share_observations(made: object) -> None:
    """Let the critics of a frozen batch or rollout read its observations, where nothing else was given for them."""
    for name, obs in CRITICS.items():
        if getattr(made, name) is None:
            object.__setattr__(made, name, getattr(made, obs))


def find_fault(rows: Tensor, at: Mapping[str, slice], *, n_choices: int | None = None) -> str | None:
    """Return why numbers are such as nothing can have filled rows with, or ``None`` if they aren't.

    Shapes:
        rows: (N, row_width).

    Args:
        at: the columns to look at.
        n_choices: how many discrete actions there are; ``None`` where actions are numbers.
    """
    for name, where in at.items():
        column = rows[:, where]
        if not bool(torch.isfinite(column).all()):
            return f"{name}: expected finite numbers, found NaN or infinity"
        low, high = _RANGES.get(name, (-math.inf, math.inf))
        if name == "action" and n_choices is not None:
            low, high = 0.0, n_choices - 1.0
        if bool(((column < low) | (column > high)).any()):
            return f"{name}: expected numbers from {low:g} to {high:g}, found others"
    return None
