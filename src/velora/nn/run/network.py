"""A network as an update uses it, and what a module has to offer to become one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from velora.core.errors import ShapeError
from velora.kernels.plan import Plan
from velora.nn.flat import FlatParameters


class Outputs(NamedTuple):
    """Results of a run; ``None`` where one wasn't asked for.

    Shapes:
        out: (S, B, T, K). states: (S, B, T, H). last: (S, B, H).
    """

    out: Tensor | None
    states: Tensor | None
    last: Tensor | None


class Unrollable(Protocol):
    """A network that reads one or two sequences side by side.

    Attributes:
        has_memory: whether a step's output depends on the steps before.
    """

    has_memory: bool

    def unroll(
        self, sources: tuple[Tensor, ...], hidden: Tensor | None, dt: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return out (S, B, T, K), states (S, B, T, H) and last (S, B, H); a network without memory gives no states."""
        ...

    def plan(self) -> Plan | None:
        """Describe itself to what computes it; ``None`` if it can't be described."""
        ...


class Pullback(Protocol):
    """Carry a gradient at a network's output back; once for each call of ``vjp``."""

    def parameters(self, d_out: Tensor) -> None:
        """Write the gradient of the parameters to the network's flat gradient. ``d_out``: (S, B, T, K)."""
        ...

    def source(self, index: int, d_out: Tensor) -> Tensor:
        """Return the gradient of one source, (S, B, T, features)."""
        ...


class Network(Protocol):
    """A network as an update uses it.

    Shapes:
        sources: each (S, B, T, features). hidden: (S, B, H). dt: (S, B, T). resets: (S, B, T), 1 where an episode
            begins.

    Attributes:
        kernel: what computes: ``"native"``, ``"numpy"``, ``"torch"``, or ``"autograd"``, PyTorch with its autograd.
        has_memory: whether a step's output depends on the steps before.
    """

    kernel: str
    flat: FlatParameters
    has_memory: bool

    def run(
        self,
        *sources: Tensor,
        hidden: Tensor | None = None,
        dt: Tensor | None = None,
        resets: Tensor | None = None,
        wants: Collection[str] = ("out",),
    ) -> Outputs:
        """Compute ``out``, ``states`` and ``last``, those that are wanted, without gradients."""
        ...

    def vjp(
        self, *sources: Tensor, hidden: Tensor | None = None, dt: Tensor | None = None, resets: Tensor | None = None
    ) -> tuple[Tensor, Pullback]:
        """Compute the output (S, B, T, K), and what carries a gradient back from it."""
        ...

    def stepper(
        self, source: Tensor, hidden: Tensor, dt: Tensor | None
    ) -> tuple[Tensor, Callable[[tuple[int, ...]], None]]:
        """Prepare to step again and again in the same memory.

        Shapes:
            source: (S, B, 1, features). dt: (S, B, 1); ``None`` is ones. hidden: (S, B, H), advanced in place.
            returns: out (S, B, 1, K), which every step writes to, and what makes a step for the seeds at the positions
                that it is given; out of a seed that never stepped is finite, whatever it is.
        """
        ...


def joined(sources: tuple[Tensor, ...]) -> Tensor:
    """Put sources side by side.

    Raises:
        ShapeError: if they differ in seeds, batch or time.
    """
    if len({source.shape[:3] for source in sources}) != 1:
        raise ShapeError(f"sources: expected one shape up to the features, got {[tuple(s.shape) for s in sources]}")
    return sources[0] if len(sources) == 1 else torch.cat(sources, 3)
