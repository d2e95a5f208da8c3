"""What an exported directory says of itself: ``policy.json``, by which other commands find out what it holds."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from velora.core.errors import ExportError

if TYPE_CHECKING:
    from velora.export.policy import Policy

FILE: Final = "policy.json"
FORMAT: Final = 1
_MOST_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Description of an exported directory.

    Attributes:
        target: name of the target's row.
        dtype: of the numbers that it computes with.
        agent: name of the agent's class.
        cell: settings of its cell in words.
        environment: identifier of the environment last trained on; empty if there was none.
        checkpoint: path of the checkpoint, from the directory; empty for an agent in memory.
        digest: SHA-256 of the checkpoint's metadata; empty for an agent in memory.
        velora_version: that wrote it.
        n_observations, n_state, n_actions: sizes, as :class:`velora.export.policy.Policy` has them.
        reads_dt: whether the elapsed time changes anything.
        actions: ``low`` and ``high`` in the environment's units, or of discrete actions ``n`` and ``first``.
        wrappers, missing: of the environment, as :class:`velora.export.policy.Origin` has them; none in older files.
        files: SHA-256 of every other file that was written.
        notes: lines of the target, such as the error of a quantised policy.
    """

    target: str
    dtype: str
    agent: str
    cell: str
    environment: str
    checkpoint: str
    digest: str
    velora_version: str
    n_observations: int
    n_state: int
    n_actions: int
    reads_dt: bool
    actions: Mapping[str, Any]
    files: Mapping[str, str]
    wrappers: Sequence[Any] = ()
    missing: Sequence[Any] = ()
    notes: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, policy: Policy, *, target: str, dtype: str, checkpoint: str, **more: Mapping[str, str]) -> Self:
        """Describe what was written from a policy; ``more`` is ``files`` and ``notes``."""
        origin = policy.origin
        return cls(
            target=target,
            dtype=dtype,
            agent=origin.agent,
            cell=origin.cell,
            environment=origin.environment,
            checkpoint=checkpoint,
            digest=origin.digest,
            velora_version=origin.velora_version,
            wrappers=origin.wrappers,
            missing=origin.missing,
            n_observations=policy.n_observations,
            n_state=policy.n_state,
            n_actions=policy.n_actions,
            reads_dt=policy.reads_dt,
            actions=dataclasses.asdict(policy.units),
            **more,
        )

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read the manifest of a directory.

        Raises:
            ExportError: if there is none, or it isn't one that this version reads.
        """
        path, wanted = directory / FILE, "expected a directory that velora export wrote"
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise ExportError(f"{path}: larger than a manifest can be; {wanted}")
            found = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ExportError(f"{path}: can't be read ({error.strerror}); {wanted}") from error
        except (ValueError, RecursionError) as error:
            raise ExportError(f"{path}: no JSON; {wanted}") from error
        if not isinstance(found, dict) or found.pop("format", None) != FORMAT:
            raise ExportError(f"{path}: no manifest of format {FORMAT}; export the policy again with this version")
        return cls(**_checked(path, found))

    def text(self) -> str:
        """Return the content of the file, the same for the same policy."""
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self)}, indent=2, ensure_ascii=False) + "\n"

    def checkpoint_in(self, directory: Path) -> Path | None:
        """Return the path of the checkpoint; ``None`` for an agent that was in memory."""
        return Path(os.path.normpath(directory / self.checkpoint)) if self.checkpoint else None

    def changed(self, directory: Path) -> list[str]:
        """Return the names of files that are gone, or aren't as they were written."""
        return [name for name, digest in self.files.items() if digest_of(directory / name) != digest]


def digest_of(path: Path) -> str | None:
    """Return the SHA-256 of a file; ``None`` if there is no regular file that can be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    except OSError:
        return None


def _checked(path: Path, found: dict[str, Any]) -> dict[str, Any]:
    """Check names and types of the members; unknown ones are left out.

    Raises:
        ExportError: if one is missing or of another type.
    """
    members: dict[str, Any] = {}
    for one in dataclasses.fields(Manifest):
        if one.name not in found and one.default == ():
            continue
        kind = _KINDS[str(one.type)]
        if type(found.get(one.name)) is not kind:
            raise ExportError(f"{path}: expected {one.name} of type {kind.__name__}, got {found.get(one.name)!r:.60}")
        members[one.name] = found[one.name]
    for name in members["files"]:
        if not name or Path(name).is_absolute() or ".." in Path(name).parts:
            raise ExportError(f"{path}: files: {name!r:.60} doesn't lie in the directory")
    return members


_KINDS: Final = {
    "str": str, "int": int, "bool": bool, "Mapping[str, Any]": dict, "Mapping[str, str]": dict, "Sequence[Any]": list,
}  # fmt: skip
