"""Write values as JSON and tensors so that they come back as they were; see ``codec.pack``."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from velora.checkpoint.header import storable
from velora.checkpoint.json_text import MAX_INT
from velora.core.errors import CheckpointError

Write: TypeAlias = Callable[[Any, str], Any]

MARK: Final = "__"
"""Tags begin with it."""
DTYPE: Final = re.compile(r"[<>|](?:[biufc][0-9]{1,2}|[mM]8(?:\[[0-9]{0,6}[A-Za-z]{1,2}\])?)")
"""Types of NumPy: numbers, truth values, dates and spans of time."""
MOST_NESTED: Final = 24
"""Containers inside of each other, each of which takes up to two levels of JSON."""
LONG: Final = 256
"""Numbers of a list from which on it is stored as a tensor, since the JSON of a checkpoint may not be long."""

_MOST_NAME: Final = 200
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_./:\[\]-]")
_INT64: Final = range(-(1 << 63), 1 << 63)


class Writer:
    """Turn values into JSON, with their arrays and tensors in ``tensors``."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self._tensors, self._depth = tensors, 0
        self._writers: dict[type, Write] = {
            type(None): _itself, bool: _itself, str: _itself, int: _whole, float: _number,
            list: self._list, dict: self._dict, Tensor: self._tensor, nn.Parameter: self._tensor,
            np.ndarray: self._array, complex: lambda v, _: {"__complex__": [_number(v.real), _number(v.imag)]},
            bytes: lambda v, _: {"__bytes__": v.hex()},
            tuple: lambda v, path: {"__tuple__": self._list(v, path)},
            deque: lambda v, path: {"__deque__": [v.maxlen, self._list(v, path)]},
            set: lambda v, path: {"__set__": self._sorted(v, path)},
            frozenset: lambda v, path: {"__frozenset__": self._sorted(v, path)},
            OrderedDict: lambda v, path: {"__ordered__": self._pairs(v, path)},
            dt.datetime: lambda v, path: {"__datetime__": _iso(v, path)},
            dt.date: lambda v, path: {"__date__": _iso(v, path)},
            dt.time: lambda v, path: {"__time__": _iso(v, path)},
            dt.timedelta: lambda v, _: {"__timedelta__": [v.days, v.seconds, v.microseconds]},
        }  # fmt: skip

    def write(self, value: Any, path: str) -> Any:
        """Write one value.

        Args:
            path: its place, for errors and for the names of tensors.

        Raises:
            CheckpointError: if the value, or one inside of it, can't come back as it was.
        """
        writer = self._writers.get(type(value))
        if writer is None:
            if not isinstance(value, np.generic):
                raise CheckpointError(f"{path}: {_refusal(value)}")
            writer = _scalar
        if self._depth > MOST_NESTED:
            raise CheckpointError(f"{path}: expected at most {MOST_NESTED} levels of nesting, got more; flatten it")
        self._depth += 1
        try:
            return writer(value, path)
        finally:
            self._depth -= 1

    def _list(self, values: Any, path: str) -> Any:
        if len(values) >= LONG and (numbers := _as_numbers(values)) is not None:
            return {"__numbers__": self._named(numbers, path)}
        return [self.write(value, f"{path}.{i}") for i, value in enumerate(values)]

    def _sorted(self, values: Any, path: str) -> list[Any]:
        return sorted((self.write(value, f"{path}.{i}") for i, value in enumerate(values)), key=json.dumps)

    def _dict(self, values: Mapping[Any, Any], path: str) -> Any:
        if all(type(key) is str and not key.startswith(MARK) for key in values):
            return {key: self.write(value, f"{path}.{_plain(key)}") for key, value in values.items()}
        return {"__dict__": self._pairs(values, path)}

    def _pairs(self, values: Mapping[Any, Any], path: str) -> list[list[Any]]:
        places = ((key, value, f"{path}.{_plain(key)}") for key, value in values.items())
        return [[self.write(key, f"{place} (key)"), self.write(value, place)] for key, value, place in places]

    def _tensor(self, value: Tensor, path: str) -> dict[str, str]:
        if not storable(value):
            raise CheckpointError(f"{path}: a tensor of {value.dtype} and {value.layout} can't be saved; convert it")
        return {"__tensor__": self._named(value.detach().cpu().clone(), path)}

    def _array(self, value: np.ndarray[Any, Any], path: str) -> dict[str, Any]:
        if not DTYPE.fullmatch(value.dtype.str):
            raise CheckpointError(f"{path}: an array of {value.dtype} can't be saved; its tolist() can")
        own = np.array(value, order="C")
        try:
            tensor = torch.from_numpy(own)
        except (TypeError, ValueError):  # a type that PyTorch doesn't know
            tensor = None
        if tensor is not None and storable(tensor):
            return {"__array__": self._named(tensor, path)}
        raw = torch.from_numpy(own.reshape(-1).view(np.uint8))
        return {"__array__": [self._named(raw, path), value.dtype.str, list(value.shape)]}

    def _named(self, tensor: Tensor, path: str) -> str:
        name = short = _NOT_IN_NAMES.sub("_", path)[:_MOST_NAME]
        while name in self._tensors:
            short = f"{short}_"
            name = f"{short}.{len(self._tensors)}"
        self._tensors[name] = tensor
        return name


def _itself(value: Any, path: str) -> Any:
    return value


def _whole(value: int, path: str) -> int:
    if abs(value) >= MAX_INT:
        raise CheckpointError(f"{path}: expected a whole number below 2**128, got one of {value.bit_length()} bits")
    return value


def _number(value: float, path: str = "") -> Any:
    return value if math.isfinite(value) else {"__float__": repr(value)}


def _scalar(value: np.generic, path: str) -> dict[str, list[str]]:
    if not DTYPE.fullmatch(value.dtype.str):
        raise CheckpointError(f"{path}: {_refusal(value)}")
    return {"__scalar__": [value.dtype.str, value.tobytes().hex()]}


def _iso(value: dt.datetime | dt.date | dt.time, path: str) -> str:
    text = value.isoformat()
    if repr(type(value).fromisoformat(text)) != repr(value):
        raise CheckpointError(
            f"{path}: {value!r} can't be saved, since its time zone isn't a fixed offset; save it in UTC"
        )
    return text


def _as_numbers(values: Any) -> Tensor | None:
    """Return a list of floats, or of whole numbers, as a tensor; ``None`` if it is anything else."""
    kinds = set(map(type, values))
    if kinds == {float}:
        return torch.tensor(list(values), dtype=torch.float64, device="cpu")
    if kinds == {int} and min(values) in _INT64 and max(values) in _INT64:
        return torch.tensor(list(values), dtype=torch.int64, device="cpu")
    return None


def _refusal(value: Any) -> str:
    bases = [kind.__name__ for kind in type(value).__mro__[1:-1] if kind.__module__ in ("builtins", "collections")]
    advice = f"save it as {bases[0]}(...)" if bases else "save what it is made of"
    if isinstance(value, Enum):
        advice = "save its value"
    return (
        f"a {type(value).__name__} can't be saved; {advice}. A state may hold numbers, text, bytes, dates, lists, "
        "tuples, sets, dicts, deques, NumPy arrays and scalars, and tensors"
    )


def _plain(key: Any) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in str(key))
