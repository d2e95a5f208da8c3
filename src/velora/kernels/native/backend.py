"""The arithmetic of an update between its networks, in the native kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

from torch import Tensor

from velora.kernels.backend import Backend, Program
from velora.kernels.native import binding


@final
class NativeBackend(Backend):
    """Calls of the C functions that have the names of the methods."""

    records_rows = False

    def program(self) -> Program:
        """See :class:`Backend`."""
        return binding.Program()

    def run(self, name: str, given: Mapping[str, Any], **hints: Any) -> Sequence[Any]:
        """See :class:`Backend`."""
        return binding.run(name, given)

    def parts(self, tensors: Sequence[Tensor], rows: Sequence[int]) -> Sequence[Sequence[Tensor]]:
        """See :class:`Backend`. A program is told its seeds when it runs."""
        if len(rows) == tensors[0].shape[0] or binding.is_recording():
            return [tensors]
        return [[t[k : k + 1] for t in tensors] for k in rows]
