"""Schema of a run's saved state: every member with its type, its range, and the shape of its arrays.

This is the one table of them. A new member is a line here; one that older runs lack has a default, and is left out
where it isn't there. Whether a state fits the agent that goes on from it is for :mod:`velora.training.resume.fits` to
tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TypeAlias

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from velora.checkpoint.lineage import TRUNK, Lineage
from velora.checkpoint.schema import Count
from velora.core.errors import CheckpointError
from velora.training.resume import checks
from velora.training.resume.checks import array_of

MOST_ENVS: Final = 4_096


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    def members(self) -> dict[str, Any]:
        """Return those that were there, as a dict."""
        return self.model_dump(exclude_unset=True)


if TYPE_CHECKING:
    Actions: TypeAlias = Tensor | None
    Begun: TypeAlias = Mapping[str, Tensor]
    Bytes: TypeAlias = Tensor
    Hidden: TypeAlias = Tensor
    Branches: TypeAlias = Lineage
    Digests: TypeAlias = Tensor
    Metric: TypeAlias = Tensor
    NumpyKey: TypeAlias = Tensor
    PythonWords: TypeAlias = Tensor
    TorchState: TypeAlias = Tensor
else:
    Actions = Annotated[Any, AfterValidator(checks.check_actions)]
    Begun = dict[
        Annotated[str, Field(max_length=32)],
        Annotated[Any, AfterValidator(array_of(torch.float32, torch.uint8, shape=(1, None, None)))],
    ]
    Bytes = Annotated[Any, AfterValidator(array_of(torch.uint8, shape=(None,)))]
    Hidden = Annotated[Any, AfterValidator(array_of(torch.float32, shape=(1, None, None)))]
    Branches = list[Annotated[list[Count], Field(min_length=2, max_length=2)]]
    Digests = Annotated[Any, AfterValidator(array_of(torch.int64, shape=(None,), holds=checks.are_words))]
    Metric = Annotated[Any, AfterValidator(checks.check_metric)]
    NumpyKey = Annotated[Any, AfterValidator(array_of(torch.int64, shape=(624,), holds=checks.are_words))]
    PythonWords = Annotated[Any, AfterValidator(array_of(torch.int64, shape=(625,), holds=checks.is_python_state))]
    TorchState = Annotated[Bytes, AfterValidator(checks.check_torch_state)]

Counters = Annotated[list[Count], Field(min_length=3, max_length=3)]
"""Episodes, steps and updates."""
Key = Annotated[str, Field(min_length=1, max_length=256)]
"""Name of something that isn't known here."""
Text = Annotated[str, Field(max_length=10_000), AfterValidator(checks.check_text)]


class WindowState(_Strict):
    """Last returns; those that aren't finite are text."""

    size: Annotated[int, Field(ge=1, le=2**53)]
    values: list[float | Literal["nan", "inf", "-inf"]]


class PlaceState(_Strict):
    """One environment: its unfinished episode, and of the newest one the reset seed, the actions and the answers."""

    running: Annotated[list[Any], AfterValidator(checks.check_running)] | None
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
    logged_at: Count = 0
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
    generators: dict[Key, Annotated[str, AfterValidator(checks.check_pcg64)]]
    global_generators: GeneratorMembers
    callbacks: dict[Key, Any]
    extra: dict[Any, Any]
    seed_callbacks: dict[Key, Any] = {}
    dropped: dict[Key, Text] = {}
    lineage: Branches = TRUNK
    metrics: dict[Key, Metric] = {}
    circumstances: dict[Key, Text | int | None] = {}
    begun: Begun = {}
    torn: bool = False
    failed_in: Key | None = None

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
