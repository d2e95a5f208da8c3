"""Checks of single members of a saved state: what type, shape and range each has, as validators of Pydantic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor

from velora.training.resume.form import as_tensor

_PCG64_BITS: Final = (128, 128, 1, 32)
"""Bits of the four numbers of a PCG64 generator."""


def array_of(
    *dtypes: torch.dtype, shape: tuple[int | None, ...], holds: Callable[[Tensor], bool] | None = None
) -> Callable[[Any], Any]:
    """Check an array or a tensor: one of these types, of this shape (``None`` is any size), finite if not whole."""

    def check(given: Any) -> Any:
        value = as_tensor(given)
        if value is None:
            raise ValueError(f"expected a tensor, received a {type(given).__name__}")
        is_shaped = value.dim() == len(shape) and all(
            wanted in (None, size) for wanted, size in zip(shape, value.shape, strict=True)
        )
        if value.dtype not in dtypes or not is_shaped:
            kinds = " or ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)
            sizes = ", ".join("any" if size is None else str(size) for size in shape)
            found = f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
            raise ValueError(f"expected {kinds} of shape ({sizes}), received {found}")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise ValueError("expected finite numbers, found NaN or infinity")
        if holds is not None and not holds(value):
            raise ValueError("expected numbers within their range, found others")
        return given

    return check


def are_words(values: Tensor) -> bool:
    """Return whether all are unsigned numbers of 32 bits."""
    return bool(((values >= 0) & (values < 2**32)).all())


def is_python_state(words: Tensor) -> bool:
    """Return whether these are the words of Python's generator, the last its position."""
    return are_words(words) and int(words[-1]) <= 624


def check_torch_state(state: Tensor) -> Tensor:
    """Check the state of a generator of PyTorch, by setting one to it."""
    try:
        torch.Generator("cpu").set_state(state.clone())
    except (RuntimeError, TypeError) as error:
        raise ValueError("expected the state of a generator of PyTorch, found something else") from error
    return state


def check_pcg64(text: str) -> str:
    """Check the text of :func:`velora.training.resume.codec.generator_state`."""
    parts = text.split(":")
    are_hex = all(part and set(part) <= set("0123456789abcdef") for part in parts)
    if len(parts) != len(_PCG64_BITS) or not are_hex:
        raise ValueError("expected the four numbers of a generator, in hexadecimal digits")
    if any(int(part, 16) >> bits for part, bits in zip(parts, _PCG64_BITS, strict=True)):
        raise ValueError("expected the four numbers of a generator, found a larger one")
    return text


def check_actions(value: Any) -> Any:
    """Check logged actions: numbers (N, A), or whole ones (N,)."""
    if value is None:
        return None
    if getattr(value, "ndim", None) == 1:
        return array_of(torch.int64, shape=(None,))(value)
    return array_of(torch.float32, torch.float64, shape=(None, None))(value)


def check_running(value: list[Any]) -> list[Any]:
    """Check number, reset seed and return of an unfinished episode."""
    kinds = [type(one) for one in value]
    if kinds not in ([int, int, float], [int, int, int]):
        raise ValueError("expected number, reset seed and return of an episode")
    if not (1 <= value[0] <= 2**53 and 0 <= value[1] < 2**31):
        raise ValueError("expected the number of an episode from 1, and a reset seed from 0 to 2**31 - 1")
    return value


def check_text(text: str) -> str:
    """Check text that people are shown."""
    if any(not (character.isprintable() or character in "\n\t") for character in text):
        raise ValueError("expected text without control characters")
    return text


def check_metric(value: Any) -> Any:
    """Check what an update reports of one seed."""
    if not isinstance(value, Tensor) or value.shape != (1,):
        raise ValueError("expected a tensor of one number")
    return value
