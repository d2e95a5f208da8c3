"""A checkpoint: one directory that holds everything about an agent, or nothing."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, final

from torch import Tensor

from velora.checkpoint import atomic_save, files, json_text, open_header, staging, tensors
from velora.checkpoint.found import children
from velora.checkpoint.layout import find_home, seed_directories
from velora.checkpoint.lineage import Place
from velora.checkpoint.registry import agents
from velora.checkpoint.schema import CONFIG_FILE, FILE_NAMES, METADATA_FILE, TENSOR_FILES, Metadata, Part
from velora.core import disk
from velora.core.errors import CheckpointError

_log: Final = logging.getLogger(__name__)


@final
@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Checkpoint on disk whose metadata was verified; :meth:`read` verifies and loads its tensors.

    A directory holds the old checkpoint whole or the new one whole, whatever happens during a save. Reading runs
    nothing that the files choose, and every byte handed over was checked against its SHA-256. The digests catch
    accidents, not an attacker who writes new ones; such files can lie, but run no code.
    """

    path: Path
    metadata: Metadata

    @classmethod
    def write(
        cls,
        directory: str | os.PathLike[str],
        *,
        metadata: Metadata | Mapping[str, Any],
        tensors: Mapping[Part, Mapping[str, Tensor]],
        overwrite: bool = True,
        config: Mapping[str, Any] | None = None,
        keep_buffer: bool = True,
    ) -> Self:
        """Save atomically: after a crash at any instant the directory holds what it held before, or all of this.

        Missing parent directories are made. An existing checkpoint is replaced, a broken one too.

        Args:
            directory: the checkpoint's own directory, such as ``"run/ep10"``.
            metadata: the members of :class:`Metadata`, without ``files``.
            tensors: the tensors of each part; ``model_state`` and ``optim_state`` must be there and finite.
            overwrite: False refuses to replace a checkpoint.
            config: the overview for ``model_config.json`` in the parent directory: written once, never changed.
            keep_buffer: when a checkpoint of the very same model and optimizer state is replaced, keep its buffer
                (and, at the same progress, its train state) if none is given.

        Raises:
            CheckpointError: if something can't be stored, the directory holds anything but a checkpoint, the
                overview there describes another agent, or the system refuses; nothing was changed then.
        """
        fields = metadata.document() if isinstance(metadata, Metadata) else metadata
        checked = Metadata.build({**fields, "files": {}})
        atomic_save.check_parts(tensors)
        checked.check_parts(tensors)
        overview = None
        if config is not None:
            overview = json_text.render({k: json_text.plain(v, f"config.{k}") for k, v in config.items()}, CONFIG_FILE)
        target, path = _resolve(directory), Path(directory).absolute()
        if disk.is_working_directory(target):
            raise CheckpointError(f"{target}: the working directory can't be replaced; save to a directory inside it")
        complete = atomic_save.save(
            target, checked, tensors, config=overview, overwrite=overwrite, keep_buffer=keep_buffer
        )
        return cls(path, complete)

    @classmethod
    def open(cls, directory: str | os.PathLike[str], *, agent: str | None = None) -> Self:
        """Read and verify the metadata; the tensors stay on disk.

        Args:
            directory: as given to :meth:`write`.
            agent: the key of the agent that is about to load it.

        Raises:
            MissingCheckpointError: if there is no checkpoint.
            CheckpointError: if the metadata is damaged, of a newer version, or another agent's.
        """
        _resolve(directory)
        path = Path(directory).absolute()
        if not os.path.lexists(path):
            staging.recover(path.parent, remove=False)
        if not os.path.lexists(path):
            raise files.MissingCheckpointError(f"{path}: no checkpoint here; check the path")
        place = path / METADATA_FILE
        if not os.path.lexists(place) and (inside := _inside(path)) is not None:
            raise files.MissingCheckpointError(
                f"{path}: holds checkpoints, and is none; load one of them, such as {inside}"
            )
        metadata = Metadata.decode(files.read_small(place, json_text.MAX_BYTES), str(place))
        _check_names(path, metadata)
        if agent is not None and metadata.agent != agent:
            raise CheckpointError(
                f"{path}: holds a {metadata.agent!r} agent, not {agent!r}; {_way_out(metadata.agent)}"
            )
        return cls(path, metadata)

    def read(self, name: Part, *, expect: open_header.Expected | None = None) -> dict[str, Tensor]:
        """Load one part into fresh CPU tensors; every byte is verified before any is handed over.

        Args:
            name: the part, such as ``"model_state"``.
            expect: shape and dtype of every tensor by name; compared with the file before memory is taken.

        Raises:
            MissingCheckpointError: if the file is gone.
            CheckpointError: if this checkpoint has no such part, or the file is damaged or not what is expected.
        """
        path = self._file(name)
        try:
            return tensors.read(
                path,
                self.metadata.files[TENSOR_FILES[name]],
                expect=expect,
                allow_nonfinite=name in atomic_save.MAY_BE_NONFINITE,
            )
        except CheckpointError as error:
            self._check_current(error)
            raise

    def count_numbers(self, name: Part) -> int:
        """Count the numbers in the tensors of one part, by the headers alone; how much memory they take is known then.

        Raises:
            MissingCheckpointError: if the file is gone.
            CheckpointError: if this checkpoint has no such part, or the file isn't as long as it should be.
        """
        return open_header.count_numbers(self._file(name), self.metadata.files[TENSOR_FILES[name]])

    @property
    def digest(self) -> str:
        """SHA-256 of ``metadata.json``, as ``sha256sum`` prints it; that file has the digests of all others."""
        return hashlib.sha256(files.read_small(self.path / METADATA_FILE, json_text.MAX_BYTES)).hexdigest()

    def verify(self) -> None:
        """Check every byte of every file, in a few megabytes of memory.

        Raises:
            MissingCheckpointError: if a file is gone.
            CheckpointError: if one is damaged.
        """
        for part, file in TENSOR_FILES.items():
            if file in self.metadata.files:
                allow = part in atomic_save.MAY_BE_NONFINITE
                tensors.verify(self.path / file, self.metadata.files[file], allow_nonfinite=allow)

    @classmethod
    def latest(cls, run_dir: str | os.PathLike[str]) -> Self | None:
        """Find the newest valid checkpoint in a run, or in its ``checkpoints`` directory.

        Order is by the run's branch (see :mod:`velora.checkpoint.lineage`), environment step, update and episode, never
        by clock. Each broken one on the way is logged as a warning and skipped. At equal counters one that can resume a
        run comes first.
        """
        candidates = []
        for parent in (Path(run_dir).absolute(), Path(run_dir).absolute() / "checkpoints"):
            staging.recover(parent, remove=False)
            for path in children(parent):
                try:
                    candidates.append(cls.open(path))
                except CheckpointError as error:
                    _log.warning("skipped: %s", error)
        for candidate in sorted(candidates, key=cls._rank, reverse=True):
            try:
                candidate.verify()
            except CheckpointError as error:
                _log.warning("skipped: %s", error)
            else:
                return candidate
        return None

    def _file(self, name: Part) -> Path:
        """Return the path of one part's file, or raise if this checkpoint has no such part."""
        file = TENSOR_FILES[name]
        if file not in self.metadata.files:
            raise CheckpointError(f"{self.path / file}: {_ABSENT.get(name, 'not part of this checkpoint')}")
        return self.path / file

    def _rank(self) -> tuple[Place, int, int, bool, str]:
        at = self.metadata
        return at.place, at.progress.update, at.progress.episode, at.train_state is not None, self.path.name

    def _check_current(self, cause: CheckpointError) -> None:
        """Distinguish damage from a save that replaced the directory after it was opened."""
        try:
            current = Checkpoint.open(self.path).metadata
        except CheckpointError:
            return
        if current != self.metadata:
            raise CheckpointError(
                f"{self.path}: replaced by another save since it was opened; open it again"
            ) from cause


_ABSENT: Final[dict[str, str]] = {
    "buffer_state": "no buffer was saved with this model state; load with buffer=False, or save with buffer=True",
    "train_state": "no train state was saved, so a run can't be resumed from it; load the agent instead",
}


def _resolve(directory: str | os.PathLike[str]) -> Path:
    try:
        text = os.fspath(directory)
        target = Path(os.path.realpath(text))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"directory: expected a path, received {directory!a} ({error})") from error
    if not text or not target.name:
        raise CheckpointError(f"directory: expected the path of a checkpoint directory, received {text!a}")
    return target


def _check_names(path: Path, metadata: Metadata) -> None:
    """Refuse a stray part, which would belong to another checkpoint; mention other files, which are never read."""
    names = set(files.list_names(path))
    if stray := sorted((names & FILE_NAMES) - {METADATA_FILE, *metadata.files}):
        raise CheckpointError(
            f"{path / stray[0]}: not listed in {METADATA_FILE}, so of another checkpoint; move it away"
        )
    if foreign := sorted(name for name in names - FILE_NAMES if not atomic_save.is_litter(name)):
        _log.warning("%s: not part of the checkpoint, ignored", path / foreign[0])


def _way_out(agent: str) -> str:
    name = agents.get(agent).__name__ if agent in agents else None
    return f"load it with {name}.load" if name else "load it with that agent's class"


def _inside(directory: Path) -> Path | None:
    """Return a checkpoint of the run in a directory, its ``final`` if it has one; ``None`` if there is none."""
    home = find_home(directory)
    homes = list(seed_directories(home).values()) or [home]
    found = sorted(one.parent for one in homes[0].glob(f"*/{METADATA_FILE}") if not one.parent.name.startswith("."))
    return next((one for one in found if one.name == "final"), found[-1] if found else None)
