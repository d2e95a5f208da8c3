"""Read what :mod:`velora.training.resume.writing` wrote, and suspect everything."""

from __future__ import annotations

import datetime as dt
import math
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import numpy as np
import torch
from torch import Tensor

from velora.core.errors import CheckpointError
from velora.training.resume.writing import DTYPE, MARK

Read: TypeAlias = Callable[[Any], Any]

_NONFINITE: Final = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class _OtherwiseError(ValueError):
    """Say what was expected and what was found."""


class Reader:
    """Undo :class:`Writer`, and suspect everything."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors
        self._readers: dict[str, Read] = {
            "__tensor__": self._named, "__array__": self._array, "__scalar__": _read_scalar,
            "__numbers__": self._numbers, "__float__": _read_nonfinite,
            "__complex__": lambda v: complex(*(self._typed(part, float) for part in _items(v, 2))),
            "__bytes__": bytes.fromhex, "__tuple__": lambda v: tuple(self._list(v)),
            "__deque__": self._deque, "__set__": lambda v: set(self._list(v)),
            "__frozenset__": lambda v: frozenset(self._list(v)), "__dict__": lambda v: dict(self._pairs(v)),
            "__ordered__": lambda v: OrderedDict(self._pairs(v)), "__datetime__": dt.datetime.fromisoformat,
            "__date__": dt.date.fromisoformat, "__time__": dt.time.fromisoformat,
            "__timedelta__": lambda v: dt.timedelta(*(self._typed(part, int) for part in _items(v, 3))),
        }  # fmt: skip

    def read(self, tree: Any) -> Any:
        """Read one value.

        Raises:
            CheckpointError: if it isn't as it would have been written.
        """
        if isinstance(tree, list):
            return [self.read(value) for value in tree]
        if not isinstance(tree, dict):
            return tree
        tag = next((key for key in tree if key.startswith(MARK)), None)
        if tag is None:
            return {key: self.read(value) for key, value in tree.items()}
        if len(tree) != 1 or tag not in self._readers:
            raise CheckpointError(f"train_state: {tag!a:.60} isn't a tag that this version writes")
        try:
            return self._readers[tag](tree[tag])
        except CheckpointError:
            raise
        except _OtherwiseError as error:
            raise CheckpointError(f"train_state: {tag}: {error}") from error
        except (TypeError, ValueError, KeyError, OverflowError, AttributeError) as error:
            raise CheckpointError(f"train_state: {tag}: {tree[tag]!a:.60} can't be read ({error!a:.100})") from error

    def _typed(self, tree: Any, kind: type) -> Any:
        value = self.read(tree)
        if type(value) is not kind:
            raise _OtherwiseError(f"expected a {kind.__name__}, found {value!a:.80}")
        return value

    def _list(self, tree: Any) -> list[Any]:
        values: list[Any] = self._typed(tree, list)
        return values

    def _pairs(self, tree: Any) -> list[tuple[Any, Any]]:
        pairs = [(self.read(key), self.read(value)) for key, value in (_items(pair, 2) for pair in _items(tree))]
        if len({key for key, _ in pairs}) != len(pairs):
            raise _OtherwiseError("a key appears twice")
        return pairs

    def _deque(self, tree: Any) -> deque[Any]:
        most, values = _items(tree, 2)
        if most is not None and (type(most) is not int or most < 0):
            raise _OtherwiseError(f"expected a length, found {most!a}")
        return deque(self._list(values), most)

    def _named(self, name: Any) -> Tensor:
        try:
            return self._tensors[name]
        except (KeyError, TypeError):
            raise CheckpointError(f"train_state: the tensor {name!a:.100} is missing") from None

    def _numbers(self, name: Any) -> list[Any]:
        tensor = self._named(name)
        if tensor.dim() != 1 or tensor.dtype not in (torch.float64, torch.int64):
            raise _OtherwiseError(f"expected a list of numbers, found {tensor.dtype} {tuple(tensor.shape)}")
        numbers: list[Any] = tensor.tolist()
        return numbers

    def _array(self, tree: Any) -> Any:
        if isinstance(tree, str):
            return self._named(tree).numpy()
        name, dtype, shape = _items(tree, 3)
        raw = self._named(name)
        kind, sizes = _read_dtype(dtype), _items(shape)
        if raw.dtype != torch.uint8 or not all(type(size) is int and size >= 0 for size in sizes):
            raise _OtherwiseError("expected bytes and a shape")
        if raw.numel() != math.prod(sizes) * kind.itemsize:
            raise _OtherwiseError(f"expected {math.prod(sizes) * kind.itemsize} bytes, found {raw.numel()}")
        return np.ndarray(sizes, kind, bytearray(raw.numpy().tobytes()))


def _items(tree: Any, n: int | None = None) -> list[Any]:
    if not isinstance(tree, list) or (n is not None and len(tree) != n):
        raise _OtherwiseError(f"expected a list{'' if n is None else f' of {n}'}, found {tree!a:.80}")
    return tree


def _read_nonfinite(text: Any) -> float:
    if not isinstance(text, str) or text not in _NONFINITE:
        raise _OtherwiseError(f"expected nan, inf or -inf, found {text!a:.80}")
    return _NONFINITE[text]


def _read_dtype(text: Any) -> np.dtype[Any]:
    if not isinstance(text, str) or not DTYPE.fullmatch(text):
        raise _OtherwiseError(f"expected a dtype, found {text!a:.40}")
    return np.dtype(text)


def _read_scalar(tree: Any) -> Any:
    dtype, digits = _items(tree, 2)
    (value,) = np.frombuffer(bytes.fromhex(digits), _read_dtype(dtype))
    return value
