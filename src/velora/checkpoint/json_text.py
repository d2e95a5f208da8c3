"""Read and write JSON with nothing left to chance: one spelling per value, small, finite, no duplicate keys."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from pydantic import JsonValue

from velora.core.errors import CheckpointError

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 64
MAX_INT: Final = 1 << 128
"""Whole numbers stay below this: large enough for the state of a NumPy generator, small enough to do no harm."""

_LONG_NUMBER: Final = re.compile(rb"[0-9]{39}")  # what is shorter is below MAX_INT
_ESCAPE: Final = re.compile(rb"\\.", re.DOTALL)
_QUOTE: Final = ord('"')
_STEPS: Final = np.zeros(256, np.int8)
_STEPS[list(b"[{")], _STEPS[list(b"]}")] = 1, -1


def plain(value: object, where: str, *, depth: int = 0) -> JsonValue:
    """Turn a value into plain JSON types: NumPy scalars into Python's, tuples into lists, mappings into dicts.

    Args:
        value: what a caller wants to store.
        where: its place, such as ``"settings.n_neurons"``, for the error.
        depth: how many containers already surround it.

    Raises:
        CheckpointError: if the value, or one inside it, has no exact JSON form.
    """
    if depth > MAX_DEPTH:
        raise CheckpointError(f"{where}: expected at most {MAX_DEPTH} levels of nesting, received more; flatten it")
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, int):
        return _bounded(int(value), where)
    if isinstance(value, float):
        return _finite(float(value), where)
    if isinstance(value, list | tuple):
        return [plain(item, f"{where}[{i}]", depth=depth + 1) for i, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {_key(key, where): plain(item, f"{where}.{key}", depth=depth + 1) for key, item in value.items()}
    raise CheckpointError(
        f"{where}: expected a JSON value (None, bool, number, string, list or dict), received {type(value).__name__}; "
        "convert it before saving"
    )


def render(document: Mapping[str, Any], where: str) -> bytes:
    """Write a document as a person reads it: indented ASCII with a final newline.

    Raises:
        CheckpointError: if the text is longer than a reader would accept.
    """
    text = (json.dumps(document, indent=2, allow_nan=False) + "\n").encode("ascii")
    if len(text) > MAX_BYTES:
        raise CheckpointError(
            f"{where}: expected at most {MAX_BYTES} bytes of JSON, received {len(text)}; store large values as tensors"
        )
    return text


def canonical(document: Mapping[str, Any]) -> bytes:
    """Write a document in the form that is hashed: sorted keys, no white space, ASCII."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def parse(raw: bytes, where: str) -> dict[str, JsonValue]:
    """Read a JSON object and refuse everything that two readers could understand differently.

    Args:
        raw: the bytes of the whole text.
        where: the file, for the error.

    Raises:
        CheckpointError: if the text is too long or too deep, isn't UTF-8 JSON, isn't an object, repeats a key, or
            holds NaN, an infinity or a number out of range.
    """
    if len(raw) > MAX_BYTES:
        raise CheckpointError(f"{where}: expected at most {MAX_BYTES} bytes of JSON, received {len(raw)}")
    _check_depth(raw, where)
    try:
        document = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_float=_parse_float,
            parse_int=_parse_int if _LONG_NUMBER.search(raw) else int,
        )
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{where}: not valid JSON ({_one_line(error)}); the file is damaged or foreign"
        ) from error
    if not isinstance(document, dict):
        raise CheckpointError(f"{where}: expected a JSON object, received {type(document).__name__}")
    return document


def _check_depth(raw: bytes, where: str) -> None:
    # Counted on the bytes, because the parser itself would recurse. Strings are what stands between quotes; outside
    # of them the parser refuses a backslash, so that what follows one is never reached.
    text = np.frombuffer(_ESCAPE.sub(b"", raw), np.uint8)
    is_outside = ~np.logical_xor.accumulate(text == _QUOTE)
    if (_STEPS[text] * is_outside).cumsum(dtype=np.int32).max(initial=0) > MAX_DEPTH:
        raise CheckpointError(f"{where}: expected at most {MAX_DEPTH} levels of nesting, received more")


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    document = dict(pairs)
    if len(document) != len(pairs):
        seen: set[str] = set()
        repeated = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise CheckpointError(f"key {repeated!a} appears twice")
    return document


def _refuse_constant(name: str) -> None:
    raise CheckpointError(f"{name} is not a finite number")


def _parse_float(text: str) -> float:
    return _finite(float(text), text[:32])


def _parse_int(text: str) -> int:
    if len(text) > 40:
        raise CheckpointError(f"a whole number of {len(text)} digits is out of range")
    return _bounded(int(text), text)


def _finite(value: float, where: str) -> float:
    if not math.isfinite(value):
        raise CheckpointError(f"{where}: expected a finite number, received {value}")
    return value


def _bounded(value: int, where: str) -> int:
    if abs(value) >= MAX_INT:
        raise CheckpointError(
            f"{where}: expected a whole number below 2**128, received one of {value.bit_length()} bits"
        )
    return value


def _key(key: object, where: str) -> str:
    if not isinstance(key, str):
        raise CheckpointError(f"{where}: expected string keys, received {type(key).__name__}; convert them to strings")
    return _text(key, where)


def _text(value: str, where: str) -> str:
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise CheckpointError(f"{where}: expected text, received {value!a:.80} with half a surrogate pair")
    return str.__str__(value)


def _one_line(error: BaseException) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
