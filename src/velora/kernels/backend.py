"""The arithmetic of an update between its networks, whatever computes it.

Everything here works on every seed by itself. ``rows`` are the positions of the seeds that still learn.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from velora.kernels.calls import CALLS as CALLS
from velora.kernels.calls import Count, Number, call, enter_call, reads, updates, writes
from velora.ops.log_std import LOG_STD_HALF, LOG_STD_MIDDLE

if TYPE_CHECKING:
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
    """The gradients of the values of an ensemble and of the logarithm of a density, all (S, B, T)."""

    values: tuple[Tensor, ...]
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
    """Memory that Adam works on.

    Shapes:
        values, gradient, first, second: (S, P). steps: (S,), float64. sound: (S,), see :meth:`Backend.judge`.
        rates: float64, (5,): lr, beta1, beta2, epsilon, weight decay. Only the first may change.

    Attributes:
        constants: the other four as Python's numbers; ``None`` looks them up, which waits for a GPU.
    """

    values: Tensor
    gradient: Tensor
    first: Tensor
    second: Tensor
    steps: Tensor
    sound: Tensor
    rates: Tensor
    constants: tuple[float, float, float, float] | None = None


class Program(Protocol):
    """The operations of one update, recorded once and replayed any number of times with the same memory."""

    def record(self) -> AbstractContextManager[None]:
        """Record the operations inside a ``with``, without making them."""
        ...

    def start(self, seeds: tuple[int, ...], threads: int) -> None:
        """Begin to make all operations for these positions of the seed axis.

        Until :meth:`wait` returns, nothing may be read or written that the program uses.
        """
        ...

    def wait(self) -> None:
        """Return when all operations have been made."""
        ...


class Backend(ABC):
    """Arithmetic of an update besides its networks: the table of calls, each with its row and its meaning.

    A method checks nothing itself: :meth:`run` does, when a call is made or recorded.

    Attributes:
        records_rows: whether a program is for the rows that it was recorded with, and not for those it is started with.
    """

    records_rows: bool

    @abstractmethod
    def program(self) -> Program:
        """Make an empty program."""

    @abstractmethod
    def run(self, name: str, given: Mapping[str, Any], **hints: Any) -> Sequence[Any]:
        """Check a call, and make or record it.

        Args:
            name: of its row.
            given: every argument that isn't written, by name.
            hints: what only some backends use.

        Returns:
            What the call writes, in the order of its row; several tensors together as a tuple.

        Raises:
            ShapeError: if a tensor has another shape, type, device or layout than the row says.
        """

    @abstractmethod
    def parts(self, tensors: Sequence[Tensor], rows: Sequence[int]) -> Sequence[Sequence[Tensor]]:
        """Cut out the seeds that learn: all in one piece, or one by one."""

    def _one(self, name: str, **given: Any) -> Tensor:
        made: Tensor = self.run(name, given)[0]
        return made

    @call(
        reward=reads("S B T", any_strides=True),
        terminated=reads("S B T", any_strides=True),
        dt=reads("S B T", any_strides=True),
        next_value=reads("S B T"),
        out=writes("S B T"),
        gamma=Number,
        scale=Number,
    )
    def td_target(
        self, reward: Tensor, terminated: Tensor, next_value: Tensor, dt: Tensor, *, gamma: float, scale: float
    ) -> Tensor:
        """Bootstrap one step ahead from scaled rewards: all (S, B, T); see :func:`velora.ops.returns.td_target`."""
        given = {"reward": reward, "terminated": terminated, "dt": dt, "next_value": next_value}
        return self._one("td_target", **given, gamma=gamma, scale=scale)

    @call(
        prediction=reads("S B T"),
        target=reads("S B T"),
        skip=Count,
        loss=writes("S"),
        gradient=writes("S B T"),
        mean=writes("S"),
    )
    def squared_error(self, prediction: Tensor, target: Tensor, *, skip: int = 0) -> SquaredError:
        """Average the squared difference of each seed; see :func:`velora.ops.losses.squared_error`.

        Shapes:
            prediction, target: (S, B, T), contiguous.

        Args:
            skip: the first steps of each window, that don't count.
        """
        return SquaredError(*self.run("squared_error", {"prediction": prediction, "target": target, "skip": skip}))

    @call(values=reads("S B T"), skip=Count, out=writes("S"), factor=Number)
    def mean(self, values: Tensor, *, factor: float, skip: int = 0) -> Tensor:
        """Average each seed's values (S, B, T), contiguous, but for the first steps, and multiply: (S,)."""
        return self._one("mean", values=values, skip=skip, factor=factor)

    @call(values=reads("S ...", together=True), out=writes("S ..."))
    def minimum(self, *values: Tensor) -> Tensor:
        """Take the smallest of several numbers, all (S, ...) and contiguous; NaN spreads."""
        return self._one("minimum", values=values)

    @call(values=reads("S B T", together=True), chosen=reads("S W", "int64"), out=writes("S B T"))
    def minimum_of(self, values: Sequence[Tensor], chosen: Tensor) -> Tensor:
        """Take the smallest of some of several values, which each seed chooses for itself; NaN spreads.

        Shapes:
            values: of (S, B, T) each, contiguous.
            chosen: (S, M), int64, positions among the values from 0 on, which a program reads anew at every replay.
            returns: (S, B, T).

        Source:
            Chen et al. 2021 (arXiv 2101.05982), algorithm 1, line 8.
        """
        return self._one("minimum_of", values=values, chosen=chosen)

    @call(values=reads("S ...", together=True), out=writes("S ..."))
    def average(self, values: Sequence[Tensor]) -> Tensor:
        """Average several numbers, all (S, ...) and contiguous."""
        return self._one("average", values=values)

    @call(action=reads("S ..."), noise=reads("S ..."), out=writes("S ..."), std=Number, most=Number)
    def perturbed(self, action: Tensor, noise: Tensor, *, std: float, most: float) -> Tensor:
        """Add noise to normalised actions, and keep them in [-1, 1].

        Shapes:
            action, noise: (S, ...), contiguous; the noise of unit deviation.

        Args:
            std: deviation of the noise. most: largest step that it may make.

        Source:
            Fujimoto et al. 2018 (arXiv 1802.09477), section 5.3, equation 14.
        """
        return self._one("perturbed", action=action, noise=noise, std=std, most=most)

    @call(states=reads("S B T H"), out=writes("S B T H"))
    def before(self, states: Tensor) -> Tensor:
        """Return the state before every step of a window, from those after it: (S, B, T, H), zeros first."""
        return self._one("before", states=states)

    @call(
        noise=reads("S ... A"),
        out=reads("S ... 2A"),
        action=writes("S ... A"),
        log_prob=writes("S ..."),
        middle=Number,
        half=Number,
    )
    def squashed(self, out: Tensor, noise: Tensor) -> Sample:
        """Draw actions: tanh of a Gaussian, whose parameters a policy puts out (:mod:`velora.ops.squashed_gaussian`).

        Shapes:
            out: (S, B, T, 2A), contiguous: the means, then what the deviations come from.
            noise: (S, B, T, A), contiguous, of unit deviation.

        Source:
            Haarnoja et al. 2018 (arXiv 1812.05905), appendix C. Differs: log(1 - tanh(u)**2) is computed
            as 2 (log 2 - abs(u) - log(1 + exp(-2 abs(u)))), which stays exact where tanh rounds to 1.
        """
        given = {"noise": noise, "out": out, "middle": LOG_STD_MIDDLE, "half": LOG_STD_HALF}
        return Sample(*self.run("squashed", given))

    @call(
        noise=reads("S ... A"),
        out=reads("S ... 2A"),
        d_actions=reads("S ... A", together=True),
        d_log_prob=reads("S ..."),
        d_out=writes("S ... 2A"),
        middle=Number,
        half=Number,
    )
    def squashed_gradient(self, out: Tensor, noise: Tensor, d_actions: Sequence[Tensor], d_log_prob: Tensor) -> Tensor:
        """Carry gradients of such actions and of their densities back to ``out``, the noise being given.

        With the standard deviation s = exp(m + w tanh(r)) of the output r, u = mean + s noise, a = tanh(u) and
        log p = log N(u) - log(1 - a**2): da/du = 1 - a**2 and, the noise being given, dlog p/du = 2 a. So
        d_mean = d_a (1 - a**2) + 2 a d_p, and d_r = (d_mean s noise - d_p) w (1 - tanh(r)**2).

        Shapes:
            d_actions: of (S, B, T, A) each, contiguous, which add up. d_log_prob: (S, B, T).
            returns: (S, B, T, 2A).
        """
        given = {"noise": noise, "out": out, "d_actions": d_actions, "d_log_prob": d_log_prob}
        return self._one("squashed_gradient", **given, middle=LOG_STD_MIDDLE, half=LOG_STD_HALF)

    @call(
        values=reads("S B T", together=True),
        log_prob=reads("S B T"),
        log_temperature=reads("S 1"),
        out=writes("S B T"),
    )
    def soft_minimum(self, values: Sequence[Tensor], log_prob: Tensor, log_temperature: Tensor) -> Tensor:
        """Take the smallest of several values, and add the entropy: ``min(values) - temperature * log_prob``.

        Shapes:
            values: of (S, B, T) each, contiguous. log_prob: (S, B, T), contiguous. log_temperature: (S, 1).
            returns: (S, B, T).

        Source:
            Haarnoja et al. 2018 (arXiv 1812.05905), equation 3, with two critics as in its section 6.
        """
        return self._one("soft_minimum", values=values, log_prob=log_prob, log_temperature=log_temperature)

    @call(
        values=reads("S B T", together=True),
        log_temperature=reads("S 1"),
        skip=Count,
        d_values=writes("S B T", together=True),
        d_log_prob=writes("S B T"),
        factor=Number,
    )
    def soft_minimum_gradient(
        self, values: Sequence[Tensor], log_temperature: Tensor, *, factor: float, skip: int = 0
    ) -> SoftGradient:
        """Return the gradient of ``factor`` times each seed's mean of :meth:`soft_minimum`, but for the first steps.

        Of equal values the first has all the gradient.
        """
        given = {"values": values, "log_temperature": log_temperature, "skip": skip, "factor": factor}
        d_values, d_log_prob = self.run("soft_minimum_gradient", given)
        return SoftGradient(tuple(d_values), d_log_prob)

    @call(
        log_temperature=reads("S 1"),
        entropy=reads("S"),
        loss=writes("S"),
        gradient=writes("S 1"),
        temperature=writes("S"),
        target=Number,
    )
    def temperature(self, log_temperature: Tensor, entropy: Tensor, *, target: float) -> TemperatureLoss:
        """Compute ``log_temperature * (entropy - target)``, which raises the temperature of a policy of little entropy.

        Shapes:
            log_temperature: (S, 1). entropy: (S,).

        Source:
            Haarnoja et al. 2018 (arXiv 1812.05905), equation 18. Differs: the loss is linear in the logarithm of the
            temperature instead of in the temperature, so that a small one can still rise as fast.
        """
        given = {"log_temperature": log_temperature, "entropy": entropy, "target": target}
        return TemperatureLoss(*self.run("temperature", given))

    @call(source=reads("S P"), out=updates("S P"))
    def copy(self, source: Tensor, out: Tensor) -> None:
        """Write numbers (S, P) over others; both contiguous."""
        self.run("copy", {"source": source, "out": out})

    @call(gradient=updates("S P"), norms=writes("S"), max_norm=Number)
    def clip(self, gradient: Tensor, *, max_norm: float) -> Tensor:
        """Scale each seed's gradient (S, P) to a norm of at most ``max_norm``; return the norms before, (S,).

        The norm is one number per seed over all parameters: a seed with a burst doesn't slow its neighbours.

        Source:
            Pascanu et al. 2013 (arXiv 1211.5063), algorithm 1, per seed.
        """
        return self._one("clip", gradient=gradient, max_norm=max_norm)

    @call(loss=reads("S"), norms=reads("S"), sound=updates("S"))
    def judge(self, loss: Tensor, norms: Tensor, sound: Tensor, *, rows: Sequence[int]) -> None:
        """Look for NaN and infinity in losses and in the norms of their gradients.

        A seed that had one anywhere takes no step of :meth:`adam` and :meth:`follow` any more, and no number that they
        change moves.

        Shapes:
            loss, norms: (S,).
            sound: (S,), 1 for a seed that had none so far, 0 for the others.
        """
        for a, b, c in self.parts((loss, norms, sound), rows):
            self.run("judge", {"loss": a, "norms": b, "sound": c})

    @call(target=updates("S P"), source=reads("S P"), sound=reads("S"), tau=Number)
    def follow(self, target: Tensor, source: Tensor, sound: Tensor, *, tau: float, rows: Sequence[int]) -> None:
        """Move targets (S, P) a fraction ``tau`` of the way to their sources, in place (Polyak averaging).

        Shapes:
            sound: (S,); the target of a seed with 0 stays, see :meth:`judge`.

        Source:
            Lillicrap et al. 2016 (arXiv 1509.02971), algorithm 1, last two lines.
        """
        for a, b, c in self.parts((target, source, sound), rows):
            self.run("follow", {"target": a, "source": b, "sound": c, "tau": tau})

    @call(
        values=updates("S P"),
        gradient=reads("S P"),
        first=updates("S P"),
        second=updates("S P"),
        steps=updates("S", "float64"),
        sound=reads("S"),
        rates=reads("5", "float64"),
    )
    def adam(self, state: AdamState, *, rows: Sequence[int]) -> None:
        """Make one step of Adam with decoupled weight decay, for every seed that is sound; see :meth:`judge`.

        Source:
            Kingma & Ba 2015 (arXiv 1412.6980), algorithm 1; Loshchilov & Hutter 2019 (arXiv 1711.05101).
        """
        names = state._fields[:6]
        for part in self.parts(state[:6], rows):
            given = dict(zip(names, part, strict=True))
            self.run("adam", {**given, "rates": state.rates}, constants=state.constants)


enter_call(
    "gather",
    rows=reads("S C W"),
    uniform=reads("S B", "float64"),
    size=reads("S", "int64"),
    position=reads("S", "int64"),
    out=updates("S B T W"),
)
"""Windows of consecutive rows out of replay rings; see :meth:`velora.buffers.ReplayBuffer.gather`.

rows: the rings. uniform: which windows, in [0, 1). size: rows that are filled. position: where the next one goes.
"""
