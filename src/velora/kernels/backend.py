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


class Sample(NamedTuple):
    """Actions drawn from a policy.

    Shapes:
        action: (S, B, T, A), in (-1, 1). log_prob: (S, B, T), the logarithm of their density.
    """

    action: Tensor
    log_prob: Tensor


class SoftGradient(NamedTuple):
    """The gradients of two values and of the logarithm of a density, all (S, B, T)."""

    first: Tensor
    second: Tensor
    log_prob: Tensor


class TemperatureLoss(NamedTuple):
    """A loss of the logarithm of the temperature, its gradient, and the temperature.

    Shapes:
        loss, temperature: (S,). gradient: (S, 1).
    """

    loss: Tensor
    gradient: Tensor
    temperature: Tensor


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
        self, reward: Tensor, terminated: Tensor, next_value: Tensor, dt: Tensor, *, gamma: float, scale: float
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

    def squashed(self, out: Tensor, noise: Tensor) -> Sample:
        """Draw actions: tanh of a Gaussian, whose parameters a policy puts out (:mod:`velora.ops.squashed_gaussian`).

        Shapes:
            out: (S, B, T, 2A), contiguous: the means, then what the deviations come from.
            noise: (S, B, T, A), contiguous, of unit deviation.

        Source:
            Haarnoja et al. 2018 (arXiv 1812.05905), appendix C. Differs: log(1 - tanh(u)**2) is computed
            as 2 (log 2 - abs(u) - log(1 + exp(-2 abs(u)))), which stays exact where tanh rounds to 1.
        """
        ...

    def squashed_gradient(
        self, out: Tensor, noise: Tensor, d_actions: tuple[Tensor, Tensor], d_log_prob: Tensor
    ) -> Tensor:
        """Carry gradients of such actions and of their densities back to ``out``, the noise being given.

        Shapes:
            d_actions: two of (S, B, T, A), contiguous, which add up. d_log_prob: (S, B, T).
            returns: (S, B, T, 2A).
        """
        ...

    def soft_minimum(self, first: Tensor, second: Tensor, log_prob: Tensor, log_temperature: Tensor) -> Tensor:
        """Take the smaller of two values, and add the entropy: ``min(first, second) - temperature * log_prob``.

        Shapes:
            first, second, log_prob: (S, B, T), contiguous. log_temperature: (S, 1).
            returns: (S, B, T).

        Source:
            Haarnoja et al. 2018 (arXiv 1812.05905), equation 3, with two critics as in its section 6.
        """
        ...

    def soft_minimum_gradient(
        self, first: Tensor, second: Tensor, log_temperature: Tensor, *, factor: float, skip: int = 0
    ) -> SoftGradient:
        """Return the gradient of ``factor`` times each seed's mean of :meth:`soft_minimum`, but for the first steps.

        Of two equal values the first has all the gradient.
        """
        ...

    def temperature(self, log_temperature: Tensor, entropy: Tensor, *, target: float) -> TemperatureLoss:
        """Compute ``log_temperature * (entropy - target)``, which raises the temperature of a policy of little entropy.

        Shapes:
            log_temperature: (S, 1). entropy: (S,).

        Source:
            Haarnoja et al. 2018 (arXiv 1812.05905), equation 18. Differs: the loss is linear in the logarithm of the
            temperature instead of in the temperature, so that a small one can still rise as fast.
        """
        ...

    def copy(self, source: Tensor, out: Tensor) -> None:
        """Write numbers (S, P) over others; both contiguous."""
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
