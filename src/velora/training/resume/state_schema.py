"""Schema of a run's saved state: every member with its type, its range, and the shape of its arrays.

This is the one table of them. A new member is a line here; one that older runs lack has a default, and is left out
where it isn't there. Whether a state fits the agent that goes on from it is for :mod:`velora.training.resume.fits` to
tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TypeAlias

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from velora.checkpoint.lineage import TRUNK, Lineage
from velora.checkpoint.schema import Count
from velora.core.errors import CheckpointError
from velora.training.resume.form import as_tensor

MOST_ENVS: Final = 4_096
_PCG64_BITS: Final = (128, 128, 1, 32)
"""Bits of the four numbers of a PCG64 generator."""


def _array(
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


def _are_words(values: Tensor) -> bool:
    """Return whether all are unsigned numbers of 32 bits."""
    return bool(((values >= 0) & (values < 2**32)).all())


def _is_python_state(words: Tensor) -> bool:
    return _are_words(words) and int(words[-1]) <= 624


def _check_torch_state(state: Tensor) -> Tensor:
    try:
        torch.Generator("cpu").set_state(state.clone())
    except (RuntimeError, TypeError) as error:
        raise ValueError("expected the state of a generator of PyTorch, found something else") from error
    return state


def _check_pcg64(text: str) -> str:
    """Check the text of :func:`velora.training.resume.codec.generator_state`."""
    parts = text.split(":")
    are_hex = all(part and set(part) <= set("0123456789abcdef") for part in parts)
    if len(parts) != len(_PCG64_BITS) or not are_hex:
        raise ValueError("expected the four numbers of a generator, in hexadecimal digits")
    if any(int(part, 16) >> bits for part, bits in zip(parts, _PCG64_BITS, strict=True)):
        raise ValueError("expected the four numbers of a generator, found a larger one")
    return text


def _check_actions(value: Any) -> Any:
    if value is None:
        return None
    if getattr(value, "ndim", None) == 1:
        return _array(torch.int64, shape=(None,))(value)
    return _array(torch.float32, torch.float64, shape=(None, None))(value)


def _check_running(value: list[Any]) -> list[Any]:
    kinds = [type(one) for one in value]
    if kinds not in ([int, int, float], [int, int, int]):
        raise ValueError("expected number, reset seed and return of an episode")
    if not (1 <= value[0] <= 2**53 and 0 <= value[1] < 2**31):
        raise ValueError("expected the number of an episode from 1, and a reset seed from 0 to 2**31 - 1")
    return value


def _check_text(text: str) -> str:
    if any(not (character.isprintable() or character in "\n\t") for character in text):
        raise ValueError("expected text without control characters")
    return text


def _check_metric(value: Any) -> Any:
    if not isinstance(value, Tensor) or value.shape != (1,):
        raise ValueError("expected a tensor of one number")
    return value


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    def members(self) -> dict[str, Any]:
        """Return those that were there, as a dict."""
        return self.model_dump(exclude_unset=True)


if TYPE_CHECKING:
    Actions: TypeAlias = Tensor | None
    Bytes: TypeAlias = Tensor
    Hidden: TypeAlias = Tensor
    Branches: TypeAlias = Lineage
    Digests: TypeAlias = Tensor
    Metric: TypeAlias = Tensor
    NumpyKey: TypeAlias = Tensor
    PythonWords: TypeAlias = Tensor
    TorchState: TypeAlias = Tensor
else:
    Actions = Annotated[Any, AfterValidator(_check_actions)]
    Bytes = Annotated[Any, AfterValidator(_array(torch.uint8, shape=(None,)))]
    Hidden = Annotated[Any, AfterValidator(_array(torch.float32, shape=(1, None, None)))]
    Branches = list[Annotated[list[Count], Field(min_length=2, max_length=2)]]
    Digests = Annotated[Any, AfterValidator(_array(torch.int64, shape=(None,), holds=_are_words))]
    Metric = Annotated[Any, AfterValidator(_check_metric)]
    NumpyKey = Annotated[Any, AfterValidator(_array(torch.int64, shape=(624,), holds=_are_words))]
    PythonWords = Annotated[Any, AfterValidator(_array(torch.int64, shape=(625,), holds=_is_python_state))]
    TorchState = Annotated[Bytes, AfterValidator(_check_torch_state)]

Counters = Annotated[list[Count], Field(min_length=3, max_length=3)]
"""Episodes, steps and updates."""
Key = Annotated[str, Field(min_length=1, max_length=256)]
"""Name of something that isn't known here."""
Text = Annotated[str, Field(max_length=10_000), AfterValidator(_check_text)]


class WindowState(_Strict):
    """Last returns; those that aren't finite are text."""

    size: Annotated[int, Field(ge=1, le=2**53)]
    values: list[float | Literal["nan", "inf", "-inf"]]


class PlaceState(_Strict):
    """One environment: its unfinished episode, and of the newest one the reset seed, the actions and the answers."""

    running: Annotated[list[Any], AfterValidator(_check_running)] | None
    actions: Actions
    dt: Annotated[float, Field(gt=0.0)] | None = None
    ended: Annotated[list[bool], Field(min_length=2, max_length=2)] | None = None
    reset_seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    digests: Digests | None = None
    parameters: dict[Key, bool | int | float] = {}


class LaneState(PlaceState):
    """One seed and its first environment; further ones are ``others``."""

    origin: Counters
    lived: Counters
    moving: WindowState
    stop_reason: Text | None = None
    others: Annotated[list[PlaceState], Field(max_length=MOST_ENVS - 1)] = []


class PythonGenerator(_Strict):
    """State of Python's generator."""

    version: Literal[3]
    words: PythonWords
    gauss: float | None


class NumpyGenerator(_Strict):
    """State of NumPy's generator; NumPy doesn't check the position, and reads outside of its memory."""

    key: NumpyKey
    pos: Annotated[int, Field(ge=0, le=624)]
    has_gauss: Annotated[int, Field(ge=0, le=1)]
    gauss: float


class GlobalGenerators(_Strict):
    """States of the generators that Velora doesn't use, but an environment or a callback may."""

    python: PythonGenerator
    numpy: NumpyGenerator
    torch: TorchState
    cuda: Annotated[list[Bytes], Field(max_length=1_024)]


if TYPE_CHECKING:
    LaneMembers: TypeAlias = Mapping[str, Any]
    GeneratorMembers: TypeAlias = Mapping[str, Any]
else:
    LaneMembers = Annotated[LaneState, AfterValidator(_Strict.members)]
    GeneratorMembers = Annotated[GlobalGenerators, AfterValidator(_Strict.members)]


class RunState(_Strict):
    """Saved state of one seed of a run. State of callbacks is theirs to check; it is by their keys."""

    run_id: Annotated[str, Field(pattern=r"^[0-9A-Za-z_.-]{1,64}$")]
    evaluated_at: Count
    lane: LaneMembers
    hidden: Hidden
    agent: dict[str, Any]
    generators: dict[Key, Annotated[str, AfterValidator(_check_pcg64)]]
    global_generators: GeneratorMembers
    callbacks: dict[Key, Any]
    extra: dict[Any, Any]
    seed_callbacks: dict[Key, Any] = {}
    dropped: dict[Key, Text] = {}
    lineage: Branches = TRUNK
    metrics: dict[Key, Metric] = {}
    circumstances: dict[Key, Text | int | None] = {}

    @classmethod
    def read(cls, tree: Any) -> Self:
        """Check a state that was unpacked.

        Raises:
            CheckpointError: naming the member that is missing, unknown, of the wrong type or out of range.
        """
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            raise CheckpointError(_explain(error)) from error


def _explain(error: ValidationError) -> str:
    """Put the first complaint into one line; a tensor isn't shown, which would import what shows it."""
    first = error.errors(include_url=False)[0]
    place = ".".join(ascii(part)[1:-1] if isinstance(part, str) else str(part) for part in first["loc"])
    complaint = first["msg"].removeprefix("Value error, ")
    if first["type"] in ("missing", "value_error"):
        return f"{place}: {complaint}"
    found = first["input"]
    is_plain = found is None or isinstance(found, bool | int | float | str)
    return f"{place}: {complaint} (received {ascii(found)[:80] if is_plain else type(found).__name__})"
