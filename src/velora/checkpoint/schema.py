"""Schema of ``metadata.json``, and how it proves that it is undamaged."""

from __future__ import annotations

import hashlib
import reprlib
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from velora.checkpoint import json_text
from velora.checkpoint.environment import Environment
from velora.checkpoint.lineage import Lineage, Place, read_lineage
from velora.checkpoint.migrations import MIGRATIONS, Migration
from velora.core.errors import CheckpointError
from velora.core.version import __version__

SCHEMA_VERSION: Final = 2
MAX_CAPACITY: Final = 10**9

Part = Literal["model_state", "optim_state", "buffer_state", "train_state"]
"""The tensor files of a checkpoint, without their suffix."""
PARTS: Final[tuple[Part, ...]] = get_args(Part)
OPTIONAL_PARTS: Final[tuple[Part, ...]] = ("buffer_state", "train_state")

METADATA_FILE: Final = "metadata.json"
CONFIG_FILE: Final = "model_config.json"
TensorFile = Literal[
    "model_state.safetensors", "optim_state.safetensors", "buffer_state.safetensors", "train_state.safetensors"
]
TENSOR_FILES: Final[dict[Part, TensorFile]] = dict(zip(PARTS, get_args(TensorFile), strict=True))
FILE_NAMES: Final = frozenset({METADATA_FILE, *TENSOR_FILES.values()})
"""Every name that a checkpoint directory may hold."""

Key = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$")]
Count = Annotated[int, Field(ge=0, le=2**53)]
Scalar = bool | int | float | str | None


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Counters(_Strict):
    """Position of the run: episodes finished, environment steps taken, gradient updates made, episodes begun."""

    episode: Count = 0
    step: Count = 0
    update: Count = 0
    begun: Count = 0


class FileInfo(_Strict):
    """Pin one file: its length and the SHA-256 of all its bytes."""

    size_bytes: Annotated[int, Field(ge=0, le=2**48)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _check_buffer(value: dict[str, bool | int]) -> dict[str, bool | int]:
    if missing := [name for name in ("capacity", "size", "position") if type(value.get(name)) is not int]:
        raise ValueError(f"expected the whole numbers capacity, size and position; {missing[0]} isn't one")
    capacity, size, position = value["capacity"], value["size"], value["position"]
    if not (1 <= capacity <= MAX_CAPACITY and size <= capacity and position < capacity):
        raise ValueError(
            f"expected 1 <= capacity <= {MAX_CAPACITY}, size <= capacity and position < capacity; "
            f"received capacity {capacity}, size {size}, position {position}"
        )
    return value


def _check_train_state(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    read_lineage(value)
    return value


BufferState = Annotated[dict[str, bool | Count], AfterValidator(_check_buffer)]
"""``capacity``, ``size`` and ``position``, with further whole numbers and switches that the buffer checks itself."""

TrainState = Annotated[dict[str, JsonValue], AfterValidator(_check_train_state)]
"""JSON part of a run's state; the trainer checks the rest of it."""


class Metadata(_Strict):
    """Everything about a checkpoint that isn't a tensor; ``files`` makes it the commit record of the directory.

    ``settings`` are the agent's constructor settings, checked further by the agent; ``device`` is a hint only.
    """

    schema_version: Literal[2] = SCHEMA_VERSION
    velora_version: Annotated[str, Field(pattern=r"^[0-9A-Za-z.+!-]{1,64}$")] = __version__
    agent: Key
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    settings: dict[str, JsonValue]
    optimizers: dict[str, dict[str, Scalar | list[Scalar]]]
    environment: Environment | None = None
    device: Annotated[str, Field(max_length=64)] = "cpu"
    progress: Counters = Counters()
    buffer: BufferState | None = None
    train_state: TrainState | None = None
    files: dict[TensorFile, FileInfo] = Field(default_factory=dict)

    @classmethod
    def build(cls, fields: Mapping[str, Any], where: str = "metadata") -> Self:
        """Make the metadata from loose values, turning NumPy scalars and tuples into their JSON forms.

        Raises:
            CheckpointError: if a member is missing, unknown, of the wrong type or out of range.
        """
        return cls._validate(json_text.plain(fields, where), where)

    @classmethod
    def _validate(cls, document: JsonValue, where: str) -> Self:
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise CheckpointError(f"{where}: {explain(error)}") from error

    @classmethod
    def decode(cls, raw: bytes, where: str) -> Self:
        """Read ``metadata.json``: undamaged, of a known version, complete.

        Raises:
            CheckpointError: if it is none of that; the text says which.
        """
        document = json_text.parse(raw, where)
        digest = document.pop("metadata_sha256", None)
        if digest != _digest(document) or json_text.render({**document, "metadata_sha256": digest}, where) != raw:
            raise CheckpointError(f"{where}: damaged (its own SHA-256 doesn't match); load another checkpoint")
        metadata = cls._validate(upgrade(document, where), where)
        metadata.check_parts([part for part in PARTS if TENSOR_FILES[part] in metadata.files], where)
        return metadata

    def encode(self, where: str) -> bytes:
        """Write the bytes of ``metadata.json``, its own digest included.

        Raises:
            CheckpointError: if the text is over 1 MiB.
        """
        return _render(self.document(), where)

    def document(self) -> dict[str, JsonValue]:
        """Return the members as plain JSON; the optional ones are absent, not null."""
        document: dict[str, JsonValue] = self.model_dump()
        for optional in ("buffer", "train_state"):
            if document[optional] is None:
                del document[optional]
        return document

    def replace(self, **members: object) -> Self:
        """Return a copy with some members exchanged for already validated ones."""
        return self.model_copy(update=members)

    def check_parts(self, parts: Collection[str], where: str = "metadata") -> None:
        """Check that the optional members and the parts they describe come together.

        Raises:
            CheckpointError: if one is there without the other, or a part that no checkpoint lacks is missing.
        """
        for part in PARTS:
            if self.has(part) != (part in parts):
                one, other = ("a member", "no tensors") if self.has(part) else ("tensors", "no member")
                raise CheckpointError(f"{where}: expected both or neither for {part}, received {one} and {other}")

    @property
    def lineage(self) -> Lineage:
        """Branches of the run that led here."""
        return read_lineage(self.train_state)

    @property
    def place(self) -> Place:
        """Branch and environment step of the run; of two checkpoints of a run, the later place is the newer."""
        return self.lineage[-1][0], self.progress.step

    def has(self, part: Part) -> bool:
        """Return whether the members call for this part."""
        return {"buffer_state": self.buffer, "train_state": self.train_state}.get(part, True) is not None


def upgrade(
    document: dict[str, JsonValue],
    where: str,
    *,
    current: int = SCHEMA_VERSION,
    migrations: Mapping[int, Migration] = MIGRATIONS,
) -> dict[str, JsonValue]:
    """Bring an older document to the current schema, one version at a time.

    Raises:
        CheckpointError: if the version is newer than this Velora, too old to be read, or not that of the document.
    """
    version = document.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise CheckpointError(f"{where}: schema_version: expected a whole number from 1, received {version!a:.80}")
    if version > current:
        writer = str(document.get("velora_version"))[:64]
        raise CheckpointError(
            f"{where}: schema version {version} needs a newer Velora: this one ({__version__}) reads up to {current}; "
            f"install velora>={writer}"
        )
    while version < current:
        if version not in migrations:
            raise CheckpointError(f"{where}: schema version {version} is too old for this Velora ({__version__})")
        try:
            document = migrations[version](document)
        except CheckpointError as error:
            raise CheckpointError(f"{where}: {error}") from error
        version += 1
        document["schema_version"] = version
    return document


def explain(error: ValidationError) -> str:
    """Put the first complaint of a schema into one line."""
    first = error.errors(include_url=False)[0]
    place = ".".join(ascii(part)[1:-1] if isinstance(part, str) else str(part) for part in first["loc"])
    received = "" if first["type"] == "missing" else f" (received {reprlib.repr(first['input'])!a})"
    return f"{place}: {first['msg']}{received}".replace("\n", " ")


def _digest(document: Mapping[str, JsonValue]) -> str:
    return hashlib.sha256(json_text.canonical(document)).hexdigest()


def _render(document: Mapping[str, JsonValue], where: str) -> bytes:
    return json_text.render({**document, "metadata_sha256": _digest(document)}, where)
