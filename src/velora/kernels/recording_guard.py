"""Refuse arithmetic that a recording can't see, while a step is recorded."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from velora.core.errors import RecordingError

_CONSTANTS: Final = frozenset({"zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "new_zeros", "new_ones",
                               "new_full"})  # fmt: skip
_ALLOCATIONS: Final = _CONSTANTS | {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}
_VIEWS: Final = frozenset({"_unsafe_view", "_reshape_alias", "lift_fresh"})  # which aren't marked as views
_FILLS: Final = frozenset({"fill_", "zero_"})


class RecordingGuard(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A context in which PyTorch makes views, allocations and constants, and raises on anything that computes.

    A recorded step runs once, on memory that holds no data yet; only the operations that the recorder took down run
    again. Arithmetic outside of the recorder would be made once, on nothing, and its result kept for ever. Memory that
    is allocated with a value may be filled with another one, since that value is a constant of the step.

    The guard sees PyTorch alone, on its own thread: **NumPy arithmetic on a tensor's memory goes by unseen**, and so
    does Python arithmetic on numbers that were read before the recording.

    Args:
        step: the name of the recorded function, for the error.
    """

    def __init__(self, step: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._step = step
        self._constants: dict[int, Tensor] = {}  # by where their memory lies; kept, so that no address comes twice

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Answer that nothing compiles here; else PyTorch imports its compiler at the first call, for a second."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Let an operation through, or refuse it.

        Raises:
            RecordingError: if it computes.
        """
        name = func.overloadpacket.__name__
        if not (_own.is_at_work or func.is_view or name in _VIEWS or self._is_constant(func, name, args, kwargs)):
            raise RecordingError(
                f"{self._step}: expected calls of self.learner while recording, got aten.{name}; use a method of "
                "self.learner.backend, or declare the class with replays=False"
            )
        out = func(*args, **(kwargs or {}))
        if name in _CONSTANTS:
            self._constants[_place(out)] = out
        return out

    def _is_constant(self, func: Any, name: str, *arguments: Any) -> bool:
        if name in _ALLOCATIONS:
            return True
        tensors = [each for each in tree_leaves(arguments) if isinstance(each, Tensor)]
        if name in _FILLS:
            return len(tensors) == 1 and _place(tensors[0]) in self._constants
        return not tensors and torch.Tag.nondeterministic_seeded not in func.tags


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


class _Own(threading.local):
    is_at_work = False


_own = _Own()


@contextlib.contextmanager
def unguarded() -> Iterator[None]:
    """Let code compute that knows of the recording, such as a kernel that makes the constants of its memory."""
    before, _own.is_at_work = _own.is_at_work, True
    try:
        yield
    finally:
        _own.is_at_work = before


def guarded(step: Callable[..., Any], device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Make the guard of a step; a no-op away from the CPU, where libraries compute as they allocate."""
    return RecordingGuard(step.__name__) if device.type == "cpu" else contextlib.nullcontext()
