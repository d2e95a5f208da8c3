"""The arithmetic of an update between its networks, in arrays of NumPy or PyTorch, without autograd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

from torch import Tensor

from velora.kernels.arrays import soft, steps  # noqa: F401 (their functions enter the table)
from velora.kernels.arrays.namespace import Namespace
from velora.kernels.arrays.program import Program, program
from velora.kernels.arrays.updates import UPDATES
from velora.kernels.backend import CALLS, Backend


@final
class ArrayBackend(Backend):
    """Functions of :mod:`velora.kernels.arrays.updates` that have the names of the methods.

    Args:
        xp: the library, float type and device that compute.
    """

    records_rows = True

    def __init__(self, xp: Namespace) -> None:
        example: Tensor = xp.tensor(xp.zeros(1))
        self.xp, self._device, self._dtype = xp, example.device, str(example.dtype).removeprefix("torch.")

    def program(self) -> Program:
        """See :class:`Backend`."""
        return program(self.xp)

    def run(self, name: str, given: Mapping[str, Any], **hints: Any) -> Sequence[Any]:
        """See :class:`Backend`."""
        CALLS[name].check(given, dtype=self._dtype, device=self._device, dense=_is_dense)
        with self.xp.quietly():
            return UPDATES[name](self.xp, **given, **hints)

    def parts(self, tensors: Sequence[Tensor], rows: Sequence[int]) -> Sequence[Sequence[Tensor]]:
        """See :class:`Backend`."""
        if len(rows) == len(tensors[0]):
            return [tensors]
        return [[tensor[k : k + 1] for tensor in tensors] for k in rows]


def _is_dense(tensor: Tensor) -> bool:
    """Return whether numbers lie one after another, maybe with the features first, as array networks leave them."""
    if tensor.is_contiguous():
        return True
    return tensor.dim() == 4 and tensor.permute(3, 0, 1, 2).is_contiguous()
