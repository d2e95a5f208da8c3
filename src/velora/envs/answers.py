"""Answers of environments that aren't what Gymnasium's interface says: each is one line that names the call."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from velora.core.errors import SpaceError
from velora.core.types import Array

if TYPE_CHECKING:
    import gymnasium as gym

_UNPACKING = re.compile(r"values to unpack \(expected \d|cannot unpack non-iterable")
_NO_KEYWORD = re.compile(r"unexpected keyword argument '(seed|options)'")
STEP = "(observation, reward, terminated, truncated, info)"
RESET = "(observation, info)"
_FEW = 32
"""Numbers that Python sums up faster than NumPy."""


def shown(value: Any) -> str:
    """Write a value in one short line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 200 else f"{text[:200]}..."


def reset(env: gym.Env[Any, Any], seed: int, who: str) -> tuple[Any, dict[str, Any]]:
    """Reset an environment, and return its observation and info.

    Raises:
        SpaceError: if it takes no seed, or answers anything else.
    """
    try:
        answer: Any = env.reset(seed=seed)
    except (TypeError, ValueError) as error:
        if _NO_KEYWORD.search(str(error)):
            raise SpaceError(
                f"{who}: expected reset(*, seed=None, options=None), as Gymnasium calls it, got one that takes less: "
                f"{error}"
            ) from error
        _explain(error, who, "reset", RESET, None)
        raise
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise SpaceError(f"{who}: expected reset to return {RESET}, got {shown(answer)}{_advice(answer)}")
    check_info(answer[1], who, "reset")
    return answer[0], answer[1]


def explain(error: Exception, answer: Any, who: str) -> None:
    """Put an error of a step into words if the answer was in another form than Gymnasium's, and pass over any other.

    Args:
        answer: ``None`` if a wrapper met it, and failed.

    Raises:
        SpaceError: in that case.
    """
    _explain(error, who, "step", STEP, answer)


def _explain(error: Exception, who: str, call: str, expected: str, answer: Any) -> None:
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    module = "" if at is None else str(at.tb_frame.f_globals.get("__name__"))
    if _UNPACKING.search(str(error)) and module.startswith(("gymnasium.", "velora.envs.")):
        got = f"something else ({error})" if answer is None else shown(answer)
        raise SpaceError(f"{who}: expected {call} to return {expected}, got {got}{_advice(answer)}") from error


def _advice(answer: Any) -> str:
    if answer is None:
        return "; write it for Gymnasium's interface, not for that of Gym"
    old = isinstance(answer, np.ndarray) or (isinstance(answer, tuple) and len(answer) == 4)
    return "; that is the interface of Gym, not of Gymnasium: gymnasium.farama.org says how to change it" if old else ""


def check_info(info: Any, who: str, call: str) -> None:
    """Check that the info of a call is a dict.

    Raises:
        SpaceError: if it isn't.
    """
    if not isinstance(info, Mapping):
        raise SpaceError(f"{who}: expected a dict as info of {call}, got {shown(info)}")


@np.errstate(all="ignore")
def write(numbers: Any, into: Array, who: str, call: str) -> None:
    """Write an observation in any form of numbers as float32, without a word about those that become zero or infinite.

    Shapes:
        into: (O,).

    Raises:
        SpaceError: if it isn't (O,) numbers.
    """
    try:
        found = np.asarray(numbers)
    except Exception as error:
        raise SpaceError(_unfit(numbers, into, who, call)) from error
    if found.shape != into.shape or found.dtype.kind not in "biuf" or np.ma.is_masked(numbers):
        raise SpaceError(_unfit(numbers, into, who, call))
    into[...] = found


def _unfit(given: Any, into: Array, who: str, call: str) -> str:
    shape = getattr(given, "shape", None)
    has = "" if shape is None else f" of the shape {tuple(shape)}"
    return (
        f"{who}: expected {call} to return an observation of {into.size} numbers, of the shape {into.shape} that the "
        f"observation space says, got {type(given).__name__}{has}: {shown(given)}"
    )


def reward(given: Any, who: str) -> float:
    """Read a reward of another type than ``float``; some environments give it as an array of one number.

    Raises:
        SpaceError: if it isn't a number.
    """
    try:
        values = np.asarray(given)
        if values.size == 1 and values.dtype.kind in "biuf":
            return float(values.ravel()[0])
    except Exception as error:
        raise SpaceError(f"{who}: expected a number as reward of step, got {shown(given)}") from error
    raise SpaceError(f"{who}: expected a number as reward of step, got {shown(given)}")


def flags(terminated: Any, truncated: Any, who: str) -> tuple[bool, bool]:
    """Read ``terminated`` and ``truncated`` of another type than ``bool``.

    Raises:
        SpaceError: if one is neither true nor false.
    """
    return _flag(terminated, "terminated", who), _flag(truncated, "truncated", who)


def _flag(given: Any, name: str, who: str) -> bool:
    try:
        values = np.asarray(given)
    except Exception:  # noqa: BLE001 - whatever it is, it is no truth
        values = np.asarray(None)
    if values.size == 1 and values.dtype.kind in "biuf" and values.ravel()[0] in (0, 1):
        return bool(values.ravel()[0])
    raise SpaceError(f"{who}: expected True or False as {name} of step, got {shown(given)}")


def is_finite(numbers: Array) -> bool:
    """Return whether all of (n,) are finite."""
    if numbers.size <= _FEW:
        return math.isfinite(sum(numbers.tolist()))  # float32 numbers can't overflow a sum of doubles
    return _are_finite(numbers)


@np.errstate(all="ignore")
def _are_finite(numbers: Array) -> bool:
    """Do the same for many: their squares sum to a finite number in all but the oddest cases."""
    return math.isfinite(numbers.dot(numbers)) or bool(np.isfinite(numbers).all())
