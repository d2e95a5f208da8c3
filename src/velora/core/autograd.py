"""PyTorch's modes of autograd, as they are by default."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def as_by_default() -> Iterator[None]:
    """Compute outside of ``inference_mode`` and ``no_grad``, whatever the caller is in; a decorator too.

    Memory that is made in inference mode can't be trained, and in ``no_grad`` autograd has nothing to differentiate. So
    an agent that is made, loaded or trained there would be another one than elsewhere.

    Example:
        >>> with torch.inference_mode(), as_by_default():
        ...     print(torch.zeros(1).is_inference(), torch.is_grad_enabled())
        False True
    """
    with torch.inference_mode(False), torch.enable_grad():
        yield
