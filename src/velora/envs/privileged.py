"""What an environment knows and its observations don't show, ``info["state"]``, for the critics of an agent."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from velora.core.errors import NonFiniteError, SpaceError
from velora.core.types import Array
from velora.envs.answers import shown
from velora.envs.spaces import environment_name

if TYPE_CHECKING:
    import gymnasium as gym

log = logging.getLogger(__name__)

KEY = "state"
"""Entry of the information that holds it."""
_ADVICE = "velora.envs.wrappers.PrivilegedState gives it below the wrappers that hide something"


def privileged_size(env: gym.Env[Any, Any]) -> int:
    """Count the numbers of ``info["state"]`` as far as a wrapper of Velora's gives them; 0 if none does.

    Example:
        >>> import gymnasium as gym
        >>> from velora.envs.wrappers import PrivilegedState
        >>> privileged_size(gym.make("Pendulum-v1")), privileged_size(PrivilegedState(gym.make("Pendulum-v1")))
        (0, 3)
    """
    try:
        return int(env.get_wrapper_attr("privileged_size"))
    except AttributeError:
        return 0


def check_privileged(env: gym.Env[Any, Any], expected: int) -> None:
    """Compare what a wrapper gives with what an agent expects, before anything is trained.

    An environment that gives ``info["state"]`` by itself is checked at its first reset.

    Args:
        expected: the agent's ``privileged``.

    Raises:
        SpaceError: if they differ.
    """
    found = privileged_size(env)
    if found and not expected:
        log.warning(
            '%s gives %d numbers as info["state"]; the agent has privileged=0, so that its critics see none of them',
            environment_name(env),
            found,
        )
    elif found and found != expected:
        raise SpaceError(
            f'{environment_name(env)}: info["state"] has {found} numbers, the agent expects privileged={expected}'
        )


def read_state(info: Mapping[str, Any], into: Array, who: str, call: str) -> bytes:
    """Write ``info["state"]`` of one answer as float32; return its bytes.

    Shapes:
        into: (P,).

    Raises:
        SpaceError: if it isn't there, or isn't P numbers.
        NonFiniteError: if they aren't finite in float32.
    """
    given, n = info.get(KEY), into.size
    if given is None:
        raise SpaceError(
            f'{who}: gave no info["{KEY}"] at {call}, and the agent has privileged={n}; give {n} numbers at reset and '
            f"every step ({_ADVICE}), or make the agent with privileged=0"
        )
    try:
        found = np.asarray(given)
    except ValueError:  # parts of different lengths
        found = np.asarray(None)
    if found.dtype.kind not in "biuf" or found.size != n:
        size = f"{found.size} numbers" if found.dtype.kind in "biuf" else shown(given)
        raise SpaceError(
            f'{who}: expected {n} numbers as info["{KEY}"] of {call}, since the agent has privileged={n}, got {size}'
        )
    with np.errstate(all="ignore"):
        into[...] = found.ravel()
    if not np.isfinite(into).all():
        raise NonFiniteError(
            f'{who}: {call} gave {shown(given)} as info["{KEY}"]; expected numbers that are finite in float32'
        )
    return into.tobytes()
