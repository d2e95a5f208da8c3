"""Contents of a checkpoint, gathered and ready to be written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from velora.checkpoint.directory import Checkpoint
from velora.checkpoint.schema import Part
from velora.core import ram

SMALL_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything that one checkpoint is going to hold: live tensors, or a copy of them.

    Attributes:
        fields: the members of :class:`velora.checkpoint.Metadata`, without ``files``.
        tensors: the tensors of each part.
        overview: for ``model_config.json`` beside the checkpoint; ``None`` writes none.
        is_copy: whether training may go on before it is written.
        finish: the rest of the copying, done before anything is written; in whatever thread.
    """

    fields: Mapping[str, Any]
    tensors: Mapping[Part, Mapping[str, Tensor]]
    overview: Mapping[str, Any] | None = None
    is_copy: bool = False
    finish: Callable[[], object] = lambda: None

    @property
    def fits_twice(self) -> bool:
        """Return whether a copy of the tensors is small, or takes no more than half of the memory that is free."""
        size = sum(tensor.nbytes for members in self.tensors.values() for tensor in members.values())
        if size <= SMALL_BYTES:  # asking costs more than it would tell
            return True
        free = ram.available_bytes()
        return free is None or 2 * size <= free

    def copy(
        self, done: Mapping[Part, Mapping[str, Tensor]], *, finish: Callable[[], object] = lambda: None
    ) -> Contents:
        """Copy every part to the host.

        Args:
            done: parts that are copies already, or will be after ``finish``.
            finish: the rest of their copying.
        """
        copies = {
            part: {name: tensor.detach().to("cpu", copy=True) for name, tensor in members.items()}
            for part, members in self.tensors.items()
            if part not in done
        }
        return replace(self, tensors={**copies, **done}, is_copy=True, finish=finish)

    def write(self, directory: Path, *, overwrite: bool = True) -> Path:
        """Write it as a checkpoint, and return where that is; see :meth:`velora.checkpoint.Checkpoint.write`."""
        self.finish()
        written = Checkpoint.write(
            directory, metadata=self.fields, tensors=self.tensors, overwrite=overwrite, config=self.overview
        )
        return written.path
