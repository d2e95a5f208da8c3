"""Arguments of environments and wrappers in JSON, as a checkpoint holds them: exactly, or not at all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from velora.core.errors import SpaceError

MOST_NUMBERS = 10_000
"""Numbers of an array, or entries of a list, that a checkpoint holds."""
DEEPEST = 16
_TAGS = {"tuple", "float", "array", "dtype"}
_DTYPES = {np.dtype(letter).name: np.dtype(letter) for letter in "?bhilqBHILQefd"}
_KINDS = {kind.type for kind in _DTYPES.values()}
_NOT_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def encode(value: Any, depth: int = 0) -> Any:
    """Write a value in JSON so that :func:`decode` gives the same one, of the same types.

    Numbers, strings, ``None``, lists and dicts with strings as keys are as in JSON. A tuple is ``{"tuple": [...]}``, an
    array or a number of NumPy ``{"array": ..., "dtype": "float32"}``, a type of NumPy ``{"dtype": "float32"}``, and
    what isn't finite ``{"float": "inf"}``.

    Raises:
        SpaceError: if it is anything else, a large array, or deep in others (``depth``).
    """
    kind = type(value)
    if kind in (list, tuple, dict) and len(value) > MOST_NUMBERS:
        raise SpaceError(f"expected at most {MOST_NUMBERS:,} entries, got {len(value):,}")
    if depth > DEEPEST:
        raise SpaceError(f"expected at most {DEEPEST} levels of lists and dicts, got more")
    if value is None or kind is bool or (kind is str and _is_text(value)) or (kind is int and abs(value) <= 2**53):
        return value
    if kind is float:
        return value if math.isfinite(value) else {"float": str(value)}
    if kind is list:
        return [encode(one, depth + 1) for one in value]
    if kind is tuple:
        return {"tuple": [encode(one, depth + 1) for one in value]}
    if kind is dict and all(type(key) is str for key in value) and not _TAGS & value.keys():
        return {key: encode(one, depth + 1) for key, one in value.items()}
    if isinstance(value, np.ndarray | np.generic) and value.dtype.name in _DTYPES and value.size <= MOST_NUMBERS:
        return {"array": encode(value.tolist(), depth + 1), "dtype": value.dtype.name}
    if isinstance(value, type) and value in _KINDS:
        return {"dtype": np.dtype(value).name}
    raise SpaceError(f"expected numbers, strings, lists, dicts and small arrays, got {kind.__name__}")


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def decode(written: Any) -> Any:
    """Read what :func:`encode` wrote.

    Raises:
        SpaceError: if it is nothing of that.
    """
    if isinstance(written, list):
        return [decode(one) for one in written]
    if not isinstance(written, dict):
        return written
    if not _TAGS & written.keys():
        return {key: decode(one) for key, one in written.items()}
    try:
        return _untagged(dict(written))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise SpaceError(f"expected an argument as Velora writes it, got {str(written)[:80]!a}") from error


def arguments(written: Mapping[str, Any]) -> dict[str, Any]:
    """Read keyword arguments, each as :func:`encode` wrote it; their names may be those of tags.

    Raises:
        SpaceError: as :func:`decode`.
    """
    return {name: decode(one) for name, one in written.items()}


def _untagged(written: dict[str, Any]) -> Any:
    match written:
        case {"tuple": list(inside)} if len(written) == 1:
            return tuple(decode(one) for one in inside)
        case {"float": str(name)} if len(written) == 1:
            return _NOT_FINITE[name]
        case {"dtype": str(name)} if len(written) == 1:
            return _DTYPES[name].type
        case {"array": inside, "dtype": str(name)} if len(written) == 2:
            numbers = np.asarray(decode(inside))
            if numbers.size <= MOST_NUMBERS and numbers.dtype.kind in "biuf":
                return numbers.astype(_DTYPES[name])[()]
    raise ValueError("another form")


def plain(written: Any) -> Any:
    """Reduce encoded values to what checkpoints held before there were tags: tuples as lists, numbers as numbers.

    Raises:
        ValueError: if such a checkpoint left it out.
    """
    if isinstance(written, list):
        return [plain(one) for one in written]
    if not isinstance(written, dict):
        return written
    if "tuple" in written:
        return [plain(one) for one in written["tuple"]]
    if _TAGS & written.keys():
        if "array" in written and written["dtype"] == "float64" and not isinstance(written["array"], list):
            return plain(written["array"])
        raise ValueError("left out")
    return {key: plain(one) for key, one in written.items()}


def largest_integer(value: Any) -> int:
    """Return the largest whole number in decoded values, whatever its sign."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return max(map(largest_integer, value), default=0)
    if isinstance(value, np.ndarray | np.integer) and value.dtype.kind in "iu":
        return max((abs(int(one)) for one in np.ravel(value)), default=0)
    return abs(value) if type(value) is int else 0
