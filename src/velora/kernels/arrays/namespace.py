"""One vocabulary for arrays of NumPy and of PyTorch: every operation writes to memory that it is given.

Operations take the place for their result last, so that a call is a function and its arguments, and nothing is
allocated when it is made.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor

Values: TypeAlias = Any
"""An array of the namespace in use: ``numpy.ndarray`` or ``torch.Tensor``."""

Operation: TypeAlias = Callable[..., object]


class Emit(Protocol):
    """Recorder of operations, or maker of them at once."""

    def __call__(self, operation: Operation, *arguments: Any) -> None:
        """Take ``operation(*arguments)``."""
        ...


class Namespace(ABC):
    """Operations and memory of one library, float type and device.

    Attributes:
        sign: what :meth:`logistic` expects its input to have been multiplied by, 1 or -1. The factor is part of the
            weights, so that it costs nothing.
        cuda: the CUDA device that it computes on; ``None`` for others.
        zero, half, one, two: numbers as arrays, which are faster operands than Python's.
        add, ..., matmul: ``(a, b, out)``.
        exp, log, sqrt, absolute, direction: ``(a, out)``; ``direction`` is -1, 0 or 1.
        greater: ``(a, b, out)``, to truth values. keep_bits: ``(a, mask, out)``, on :meth:`bits`.
        sum_first, sum_last: ``(a, out)``, over the first or the last axis.
        dot: ``(a, b, out)``, the scalar products of the last axes.
        softplus: ``(a, zero, out)``.
        copy: ``(a, out)``. fill: ``(number, out)``. take: ``(flat, index, out)``.
        erase: ``(where, out)``, zeros in those rows of (S, P) for which (S,) is true.
    """

    name: str
    sign: float
    cuda: torch.device | None = None
    zero: Values
    half: Values
    one: Values
    two: Values
    add: Operation
    subtract: Operation
    multiply: Operation
    divide: Operation
    power: Operation
    minimum: Operation
    maximum: Operation
    matmul: Operation
    exp: Operation
    log: Operation
    sqrt: Operation
    absolute: Operation
    direction: Operation
    greater: Operation
    keep_bits: Operation
    sum_first: Operation
    sum_last: Operation
    dot: Operation
    softplus: Operation
    copy: Operation
    fill: Operation
    take: Operation
    erase: Operation

    @abstractmethod
    def sign_bits(self, a: Values, out: Values) -> None:
        """Set all bits of a negative number and none of others, on :meth:`bits`."""

    @abstractmethod
    def logistic(self, do: Emit, z: Values) -> None:
        """Replace ``sign * z`` by ``1 / (1 + exp(-z))``."""

    @abstractmethod
    def rectify(self, do: Emit, z: Values, out: Values) -> None:
        """Write the larger of ``z`` and 0 to ``out``; NaN stays NaN."""

    @abstractmethod
    def empty(self, *shape: int) -> Values:
        """Allocate numbers."""

    @abstractmethod
    def zeros(self, *shape: int) -> Values:
        """Allocate zeros."""

    @abstractmethod
    def truths(self, *shape: int) -> Values:
        """Allocate truth values."""

    @abstractmethod
    def number(self, value: float) -> Values:
        """Return a number as an array of no axes, which nothing may write to."""

    @abstractmethod
    def constant(self, values: np.ndarray[Any, Any]) -> Values:
        """Take numbers over; whole numbers stay whole."""

    @abstractmethod
    def doubles(self) -> Namespace:
        """Return the same for float64."""

    @abstractmethod
    def bits(self, a: Values) -> Values:
        """See numbers as whole numbers of the same size."""

    @abstractmethod
    def view(self, tensor: Tensor) -> Values:
        """See a tensor as an array."""

    @abstractmethod
    def tensor(self, a: Values) -> Tensor:
        """See an array as a tensor."""

    @abstractmethod
    def quietly(self) -> AbstractContextManager[object]:
        """Let NaN and infinity spread without warnings, differentiate nothing, and let NumPy use one thread."""
