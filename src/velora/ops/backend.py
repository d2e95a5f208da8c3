"""The arithmetic of an update between its networks, whatever computes it.

Everything here works on every seed by itself. ``rows`` are the positions of the seeds that still learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from torch import Tensor


class SquaredError(NamedTuple):
    """A loss with its gradient.

    Shapes:
        loss: (S,), averaged over batch and time. gradient: as the prediction. mean: (S,), of the prediction.
    """

    loss: Tensor
    gradient: Tensor
    mean: Tensor


class AdamState(NamedTuple):
    """What Adam works on.

    Shapes:
        values, gradient, first, second: (S, P). steps: (S,), float64.
        rates: float64, (5,): lr, beta1, beta2, epsilon, weight decay. Only the first may change.

    Attributes:
        constants: the other four as Python's numbers; ``None`` looks them up, which waits for a GPU.
    """

    values: Tensor
    gradient: Tensor
    first: Tensor
    second: Tensor
    steps: Tensor
    rates: Tensor
    constants: tuple[float, float, float, float] | None = None


class Program(Protocol):
    """The operations of one update, noted once and made any number of times with the same memory."""

    def record(self) -> AbstractContextManager[None]:
        """Note the operations inside a ``with``, without making them."""
        ...

    def start(self, seeds: tuple[int, ...], threads: int) -> None:
        """Begin to make all operations for these positions of the seed axis.

        Until :meth:`wait` returns, nothing may be read or written that the program uses.
        """
        ...

    def wait(self) -> None:
        """Return when all operations have been made."""
        ...


class Backend(Protocol):
    """What an update computes besides its networks.

    Attributes:
        notes_rows: whether a program is for the rows that it was noted with, and not for those it is started with.
    """

    notes_rows: bool

    def program(self) -> Program:
        """Make an empty program."""
        ...

    def td_target(
        self, reward: Tensor, terminated: Tensor, next_value: Tensor, *, gamma: float, scale: float
    ) -> Tensor:
        """Bootstrap one step ahead from scaled rewards: all (S, B, T); see :func:`velora.ops.returns.td_target`."""
        ...

    def squared_error(self, prediction: Tensor, target: Tensor, *, skip: int = 0) -> SquaredError:
        """Average the squared difference of each seed; see :func:`velora.ops.losses.squared_error`.

        Shapes:
            prediction, target: (S, B, T), contiguous.

        Args:
            skip: the first steps of each window, that don't count.
        """
        ...

    def mean(self, values: Tensor, *, factor: float, skip: int = 0) -> Tensor:
        """Average each seed's values (S, B, T), contiguous, but for the first steps, and multiply: (S,)."""
        ...

    def minimum(self, a: Tensor, b: Tensor) -> Tensor:
        """Take the smaller of each pair of numbers, both (S, ...) and contiguous; NaN spreads."""
        ...

    def perturbed(self, action: Tensor, noise: Tensor, *, std: float, most: float) -> Tensor:
        """Add noise to normalised actions, and keep them in [-1, 1].

        Shapes:
            action, noise: (S, ...), contiguous; the noise of unit deviation.

        Args:
            std: deviation of the noise. most: largest step that it may make.

        Source:
            Fujimoto et al. 2018 (arXiv 1802.09477), section 5.3, equation 14.
        """
        ...

    def before(self, states: Tensor) -> Tensor:
        """Return the state before every step of a window, from those after it: (S, B, T, H), zeros first."""
        ...

    def clip(self, gradient: Tensor, *, max_norm: float) -> Tensor:
        """Scale each seed's gradient (S, P) to a norm of at most ``max_norm``; return the norms before, (S,).

        The norm is one number per seed over all parameters: a seed with a burst doesn't slow its neighbours.

        Source:
            Pascanu et al. 2013 (arXiv 1211.5063), algorithm 1, per seed.
        """
        ...

    def follow(self, target: Tensor, source: Tensor, *, tau: float, rows: Sequence[int]) -> None:
        """Move targets (S, P) a fraction ``tau`` of the way to their sources, in place (Polyak averaging).

        Source:
            Lillicrap et al. 2016 (arXiv 1509.02971), algorithm 1, last two lines.
        """
        ...

    def adam(self, state: AdamState, *, rows: Sequence[int]) -> None:
        """Make one step of Adam with decoupled weight decay.

        Source:
            Kingma & Ba 2015 (arXiv 1412.6980), algorithm 1; Loshchilov & Hutter 2019 (arXiv 1711.05101).
        """
        ...
