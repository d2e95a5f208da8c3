"""The operations that a step of a policy is written in: a target that has them needs no formulas of its own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = Any
"""A value of a target: it can be added, subtracted, multiplied, divided and negated, with broadcasting."""


class Operations(Protocol):
    """Operations of a target; all arrays begin with the batch, but for parameters."""

    def parameter(self, name: str, numbers: NDArray[Any]) -> Array:
        """Return numbers of the policy, in float32."""
        ...

    def within(self, name: str) -> AbstractContextManager[None]:
        """Let the names of what is computed in this context begin with a name."""
        ...

    def called(self, name: str, value: Array) -> Array:
        """Give a value a name."""
        ...

    def elementwise(self, function: str, value: Array) -> Array:
        """Apply ``abs``, ``exp``, ``log``, ``relu``, ``sigmoid``, ``softplus`` or ``tanh``."""
        ...

    def mix(self, first: Array, second: Array, share: Array) -> Array:
        """Go from one value to another by a share from 0 to 1: ``first + share * (second - first)``."""
        ...

    def linear(self, x: Array, weight: Array, bias: Array) -> Array:
        """Map (B, n_in) by a weight (n_out, n_in) and a bias (n_out,)."""
        ...

    def split(self, x: Array, sizes: Sequence[int]) -> Sequence[Array]:
        """Take the features apart."""
        ...

    def join(self, parts: Sequence[Array]) -> Array:
        """Put features beside each other."""
        ...

    def with_axis(self, x: Array) -> Array:
        """Append an axis of one."""
        ...

    def sum_rows(self, x: Array) -> Array:
        """Sum (B, from, to) over its second axis."""
        ...

    def clip(self, x: Array, low: NDArray[np.float32], high: NDArray[np.float32]) -> Array:
        """Keep each feature between two numbers."""
        ...

    def largest(self, x: Array, first: int) -> Array:
        """Return which of the features (B, n) is the largest, counted from ``first`` on, (B,) of int64."""
        ...
