"""Compare the form of two states: which members there are, and of which type, shape and size each is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def difference(expected: Any, found: Any, place: str) -> str | None:
    """Return the first place where a state isn't of the expected form, in one line; ``None`` if it is.

    Where ``None`` is expected, anything may be found. Numbers have to be finite.

    Args:
        expected: a state of nested dicts, lists, tuples, numbers, text, arrays and tensors.
        found: the state to compare.
        place: the name that the line begins with.

    Example:
        >>> difference({"noise": [0.0, 0.0]}, {"noise": [0.5]}, "agent")
        'agent.noise: expected 2 values, found 1'
    """
    if expected is None:
        return None
    if isinstance(expected, Mapping):
        return _between_dicts(expected, found, place)
    if isinstance(expected, Tensor | np.ndarray):
        return _between_arrays(as_tensor(expected), as_tensor(found), place)
    if isinstance(expected, list | tuple):
        if not isinstance(found, list | tuple) or len(found) != len(expected):
            return f"{place}: expected {len(expected)} values, found {_sized(found)}"
        pairs = enumerate(zip(expected, found, strict=True))
        return _first(difference(one, other, f"{place}.{i}") for i, (one, other) in pairs)
    return _between_values(expected, found, place)


def as_tensor(value: Any) -> Tensor | None:
    """See an array or a tensor as a tensor; ``None`` if it is neither, or of a type that PyTorch doesn't know."""
    if isinstance(value, np.ndarray):
        try:
            return torch.from_numpy(value)
        except TypeError:
            return None
    return value if isinstance(value, Tensor) else None


def _between_dicts(expected: Mapping[Any, Any], found: Any, place: str) -> str | None:
    if not isinstance(found, Mapping) or found.keys() != expected.keys():
        names = ", ".join(map(str, expected)) or "none"
        return f"{place}: expected the members {names}, found {_sized(found)}"
    return _first(difference(value, found[name], f"{place}.{name}") for name, value in expected.items())


def _between_arrays(expected: Tensor | None, found: Tensor | None, place: str) -> str | None:
    if expected is None:
        return None
    if found is None or (found.dtype, found.shape) != (expected.dtype, expected.shape):
        return f"{place}: expected {expected.dtype} of {tuple(expected.shape)}, found {_sized(found)}"
    if found.is_floating_point() and not bool(torch.isfinite(found).all()):
        return f"{place}: expected finite numbers, found NaN or infinity"
    return None


def _between_values(expected: Any, found: Any, place: str) -> str | None:
    kinds: tuple[type, ...] = (float, int) if isinstance(expected, float) else (type(expected),)
    if type(found) not in kinds or (isinstance(found, float) and not math.isfinite(found)):
        wanted = "finite number" if isinstance(expected, float) else type(expected).__name__
        return f"{place}: expected a {wanted}, found {_sized(found)}"
    return None


def _first(complaints: Any) -> str | None:
    return next((complaint for complaint in complaints if complaint is not None), None)


def _sized(found: Any) -> str:
    """Describe what was found in a few words."""
    if isinstance(found, Tensor):
        return f"{found.dtype} of {tuple(found.shape)}"
    if isinstance(found, Mapping):
        return ascii(", ".join(map(str, found)) or "none")[1:-1][:120]
    if isinstance(found, Sequence) and not isinstance(found, str):
        return str(len(found))
    return ascii(found)[:80]
