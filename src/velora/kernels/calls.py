"""The table of calls: what each takes and gives, from which it is checked, packed for C, and declared there.

A call works on every seed by itself. Its row is written as a decorator of its method in :mod:`velora.kernels.backend`;
the C struct, its number and its dispatch are written from the rows by :mod:`velora.kernels.generate`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from velora.core.errors import ShapeError

if TYPE_CHECKING:
    import torch

Sizes: TypeAlias = dict[str, int]
Method = TypeVar("Method", bound=Callable[..., Any])

MOST_TOGETHER = 16
"""Tensors that one argument of a call can be, such as the values of an ensemble."""


@dataclass(frozen=True, slots=True)
class Field:
    """Argument of a call that is a tensor.

    Attributes:
        shape: letters for sizes, equal in all fields of a call; ``...`` for any axes, ``2A`` for twice a size.
        use: ``"reads"``, ``"updates"`` or ``"writes"``; what is written is allocated by the call.
        dtype: ``"float32"``, which stands for the type that the backend computes in; ``"float64"`` or ``"int64"``.
        any_strides: whether its numbers may lie apart; in all other fields they lie one after another.
        together: whether it is several tensors of one shape, at most :data:`MOST_TOGETHER`.
    """

    shape: tuple[str, ...]
    use: str
    dtype: str = "float32"
    any_strides: bool = False
    together: bool = False

    def sizes(self, sizes: Mapping[str, int], middle: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape in numbers; ``middle`` is what ``...`` stands for."""
        found: tuple[int, ...] = ()
        for token in self.shape:
            if token == "...":
                found += middle
            elif token.isdigit():
                found += (int(token),)
            else:
                found += (int(token[:-1] or 1) * sizes[token[-1]],)
        return found


def reads(shape: str, dtype: str = "float32", *, any_strides: bool = False, together: bool = False) -> Field:
    """Declare a tensor that a call reads."""
    return Field(tuple(shape.split()), "reads", dtype, any_strides, together)


def updates(shape: str, dtype: str = "float32") -> Field:
    """Declare a tensor that a call changes."""
    return Field(tuple(shape.split()), "updates", dtype)


def writes(shape: str, *, together: bool = False) -> Field:
    """Declare a tensor that a call makes; with ``together``, one for each tensor that it reads so."""
    return Field(tuple(shape.split()), "writes", together=together)


class Count:
    """Argument of a call that is a whole number."""


class Number:
    """Argument of a call that is a float."""


@dataclass(frozen=True, slots=True)
class Call:
    """Row of the table.

    Attributes:
        name: of the method, the array function and the C function.
        fields: tensors, in the order of the C struct.
        counts, numbers: whole numbers, which come before the tensors there, and floats, which come after them.
    """

    name: str
    fields: Mapping[str, Field]
    counts: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()

    @property
    def letters(self) -> tuple[str, ...]:
        """Sizes that are words of the C struct, its first; ``...`` is one, the product of all those axes."""
        tokens = (token for field in self.fields.values() for token in field.shape if not token.isdigit())
        return tuple(dict.fromkeys(token if token == "..." else token[-1] for token in tokens))

    def check(
        self, given: Mapping[str, Any], *, dtype: str = "float32", device: torch.device | None = None, dense: Any = None
    ) -> tuple[Sizes, tuple[int, ...]]:
        """Check what a call is given, and find its sizes.

        Args:
            given: every field that isn't written, by name.
            dtype: what the backend computes in.
            device: where the backend computes; ``None`` is the CPU.
            dense: tells whether the numbers of a tensor lie as the backend needs them; ``None``: one after another.

        Returns:
            The sizes by letter, and the shape that ``...`` stands for.

        Raises:
            ShapeError: naming the first tensor at fault.
        """
        sizes: Sizes = {}
        middle: list[tuple[int, ...]] = []
        for name, field in self.fields.items():
            if field.use == "writes":
                continue
            tensors = given[name] if field.together else (given[name],)
            if not 1 <= len(tensors) <= MOST_TOGETHER:
                raise ShapeError(f"{self.name}: {name}: expected 1 to {MOST_TOGETHER} tensors, got {len(tensors)}")
            for tensor in tensors:
                self._bind(name, field, tuple(tensor.shape), sizes, middle)
                self._check_memory(name, field, tensor, dtype, device, dense)
        return sizes, middle[0] if middle else ()

    def _bind(
        self, name: str, field: Field, shape: tuple[int, ...], sizes: Sizes, middle: list[tuple[int, ...]]
    ) -> None:
        """Let the letters of a field stand for a tensor's sizes, or compare those that are known."""
        tokens, extra = field.shape, len(shape) - len(field.shape)
        if "..." in tokens:
            at = tokens.index("...")
            if not middle and extra >= -1:
                middle.append(shape[at : at + extra + 1])
        elif extra:
            raise self._misfit(name, field, shape, sizes)
        fixed = [token for token in tokens if token != "..."]
        ends = shape if "..." not in tokens else shape[:at] + shape[len(shape) - (len(tokens) - at - 1) :]
        for token, size in zip(fixed, ends, strict=False):
            if not token.isdigit():
                sizes.setdefault(token[-1], size // int(token[:-1] or 1))
        if field.sizes(sizes, middle[0] if middle else ()) != shape:
            raise self._misfit(name, field, shape, sizes)

    def _misfit(self, name: str, field: Field, shape: tuple[int, ...], sizes: Sizes) -> ShapeError:
        known = ", ".join(f"{letter} = {size}" for letter, size in sizes.items())
        return ShapeError(
            f"{self.name}: {name}: expected shape ({', '.join(field.shape)})"
            f"{f' with {known}' if known else ''}, got {shape}"
        )

    def _check_memory(
        self, name: str, field: Field, tensor: Any, dtype: str, device: torch.device | None, dense: Any
    ) -> None:
        expected = dtype if field.dtype == "float32" else field.dtype
        found = str(tensor.dtype).removeprefix("torch.")
        where = getattr(tensor, "device", None)
        kind = "cpu" if device is None else device.type
        if found != expected and not (kind == "mps" and field.dtype == "float64"):
            raise ShapeError(f"{self.name}: {name}: expected numbers of type {expected}, got {found}; convert them")
        if where is not None and not isinstance(where, str) and where.type != kind:
            raise ShapeError(f"{self.name}: {name}: expected a tensor on {kind}, got one on {where}; move it there")
        if not field.any_strides and not (dense or is_contiguous)(tensor):
            raise ShapeError(
                f"{self.name}: {name}: expected numbers one after another in memory, got shape {tuple(tensor.shape)} "
                f"with strides {_strides(tensor)}; copy a transposed or sliced view before, outside of a recording"
            )


def is_contiguous(tensor: Any) -> bool:
    """Return whether the numbers of a tensor or an array lie one after another."""
    return bool(tensor.is_contiguous()) if hasattr(tensor, "is_contiguous") else bool(tensor.flags.c_contiguous)


def _strides(tensor: Any) -> tuple[int, ...]:
    return tuple(tensor.stride()) if hasattr(tensor, "stride") else tuple(s // tensor.itemsize for s in tensor.strides)


CALLS: dict[str, Call] = {}
"""The rows by name."""


def call(**arguments: Field | type[Count] | type[Number]) -> Callable[[Method], Method]:
    """Enter a row in the table, for the method of that name."""

    def enter(method: Method) -> Method:
        enter_call(method.__name__, **arguments)
        return method

    return enter


def enter_call(name: str, **arguments: Field | type[Count] | type[Number]) -> Call:
    """Enter a row in the table."""
    row = Call(
        name,
        {key: value for key, value in arguments.items() if isinstance(value, Field)},
        tuple(key for key, value in arguments.items() if value is Count),
        tuple(key for key, value in arguments.items() if value is Number),
    )
    CALLS[name] = row
    return row


def sizes_of(call: Call, sizes: Mapping[str, int], middle: Sequence[int]) -> list[int]:
    """Return the words that are sizes, in the order of the struct."""
    return [math.prod(middle) if letter == "..." else sizes[letter] for letter in call.letters]
