"""The arithmetic of an update between its networks, in arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from velora.core.errors import ShapeError
from velora.kernels.arrays import soft
from velora.kernels.arrays.namespace import Namespace, Values
from velora.kernels.arrays.program import Program, do, program
from velora.kernels.backend import AdamState, Sample, SoftGradient, SquaredError, TemperatureLoss


class ArrayBackend:
    """Compute in NumPy, or in PyTorch on any device, without autograd; see :class:`velora.kernels.backend.Backend`."""

    notes_rows = True

    def __init__(self, xp: Namespace) -> None:
        self.xp, self._doubles = xp, xp.doubles()

    def program(self) -> Program:
        """See :class:`Backend`."""
        return program(self.xp)

    def td_target(
        self, reward: Tensor, terminated: Tensor, next_value: Tensor, dt: Tensor, *, gamma: float, scale: float
    ) -> Tensor:
        """See :class:`Backend`."""
        _check_shapes("td_target", reward, terminated, next_value, dt)
        xp = self.xp
        y, scaled = xp.empty(*reward.shape), xp.empty(*reward.shape)
        with xp.quietly():
            # gamma**dt is gamma * exp((dt - 1) * log(gamma)), which is exactly gamma where dt is 1.
            do(xp.subtract, xp.view(dt), xp.one, scaled)
            do(xp.multiply, scaled, xp.number(math.log(gamma or 1.0)), scaled)
            do(xp.exp, scaled, scaled)
            do(xp.multiply, xp.view(terminated), xp.number(-gamma), y)
            do(xp.add, y, xp.number(gamma), y)
            do(xp.multiply, y, scaled, y)
            do(xp.multiply, y, xp.view(next_value), y)
            do(xp.multiply, xp.view(reward), xp.number(scale), scaled)
            do(xp.add, y, scaled, y)
        return xp.tensor(y)

    def squared_error(self, prediction: Tensor, target: Tensor, *, skip: int = 0) -> SquaredError:
        """See :class:`Backend`."""
        _check_shapes("squared_error", prediction, target)
        xp, n_seeds = self.xp, prediction.shape[0]
        error, loss = xp.zeros(*prediction.shape), xp.empty(n_seeds)
        counted, flat = error[:, :, skip:], error.reshape(n_seeds, -1)
        n = prediction[0, :, skip:].numel()
        mean = self.mean(prediction, factor=1.0, skip=skip)
        with xp.quietly():
            do(xp.subtract, xp.view(prediction)[:, :, skip:], xp.view(target)[:, :, skip:], counted)
            do(xp.dot, flat, flat, loss)
            do(xp.multiply, _numbers(loss), xp.number(1.0 / n), _numbers(loss))
            do(xp.multiply, error, xp.number(2.0 / n), error)
        return SquaredError(xp.tensor(loss), xp.tensor(error), mean)

    def mean(self, values: Tensor, *, factor: float, skip: int = 0) -> Tensor:
        """See :class:`Backend`."""
        values = values[:, :, skip:]
        xp, n_seeds, n = self.xp, values.shape[0], values[0].numel()
        copy, share, out = xp.empty(*values.shape), xp.zeros(n), xp.empty(n_seeds)
        xp.fill(factor / n, share)
        with xp.quietly():
            do(xp.copy, xp.view(values), copy)
            do(xp.dot, copy.reshape(n_seeds, n), share, out)
        return xp.tensor(out)

    def minimum(self, a: Tensor, b: Tensor) -> Tensor:
        """See :class:`Backend`."""
        _check_shapes("minimum", a, b)
        xp, out = self.xp, self.xp.empty(*a.shape)
        with xp.quietly():
            do(xp.minimum, xp.view(a), xp.view(b), out)
        return xp.tensor(out)

    def perturbed(self, action: Tensor, noise: Tensor, *, std: float, most: float) -> Tensor:
        """See :class:`Backend`."""
        _check_shapes("perturbed", action, noise)
        xp, out = self.xp, self.xp.empty(*action.shape)
        with xp.quietly():
            do(xp.multiply, xp.view(noise), xp.number(std), out)
            self._bound(out, most)
            do(xp.add, out, xp.view(action), out)
            self._bound(out, 1.0)
        return xp.tensor(out)

    def _bound(self, values: Values, most: float) -> None:
        xp = self.xp
        do(xp.minimum, values, xp.number(most), values)
        do(xp.maximum, values, xp.number(-most), values)

    def before(self, states: Tensor) -> Tensor:
        """See :class:`Backend`."""
        xp, out = self.xp, self.xp.zeros(*states.shape)
        with xp.quietly():
            do(xp.copy, xp.view(states)[:, :, :-1], out[:, :, 1:])
        return xp.tensor(out)

    def squashed(self, out: Tensor, noise: Tensor) -> Sample:
        """See :class:`Backend`."""
        _check_shapes("squashed", out[..., : out.shape[-1] // 2], noise)
        with self.xp.quietly():
            return soft.squashed(self.xp, out, noise)

    def squashed_gradient(
        self, out: Tensor, noise: Tensor, d_actions: tuple[Tensor, Tensor], d_log_prob: Tensor
    ) -> Tensor:
        """See :class:`Backend`."""
        _check_shapes("squashed_gradient", noise, *d_actions)
        with self.xp.quietly():
            return soft.squashed_gradient(self.xp, out, noise, d_actions, d_log_prob)

    def soft_minimum(self, first: Tensor, second: Tensor, log_prob: Tensor, log_temperature: Tensor) -> Tensor:
        """See :class:`Backend`."""
        _check_shapes("soft_minimum", first, second, log_prob)
        with self.xp.quietly():
            return soft.soft_minimum(self.xp, first, second, log_prob, log_temperature)

    def soft_minimum_gradient(
        self, first: Tensor, second: Tensor, log_temperature: Tensor, *, factor: float, skip: int = 0
    ) -> SoftGradient:
        """See :class:`Backend`."""
        _check_shapes("soft_minimum_gradient", first, second)
        with self.xp.quietly():
            return soft.soft_minimum_gradient(self.xp, first, second, log_temperature, factor=factor, skip=skip)

    def temperature(self, log_temperature: Tensor, entropy: Tensor, *, target: float) -> TemperatureLoss:
        """See :class:`Backend`."""
        with self.xp.quietly():
            return soft.temperature(self.xp, log_temperature, entropy, target=target)

    def copy(self, source: Tensor, out: Tensor) -> None:
        """See :class:`Backend`."""
        with self.xp.quietly():
            do(self.xp.copy, self.xp.view(source), self.xp.view(out))

    def clip(self, gradient: Tensor, *, max_norm: float) -> Tensor:
        """See :class:`Backend`."""
        xp, g = self.xp, self.xp.view(gradient)
        squares, scale = xp.empty(g.shape[0]), _numbers(xp.empty(g.shape[0]))
        norms = _numbers(squares)
        with xp.quietly():
            do(xp.dot, g, g, squares)
            do(xp.sqrt, norms, norms)
            do(xp.add, norms, xp.number(1e-6), scale)
            do(xp.divide, xp.number(max_norm), scale, scale)
            do(xp.minimum, scale, xp.one, scale)
            do(xp.multiply, g, _by_seed(scale), g)
        return xp.tensor(squares)

    def follow(self, target: Tensor, source: Tensor, *, tau: float, rows: Sequence[int]) -> None:
        """See :class:`Backend`."""
        xp = self.xp
        with xp.quietly():
            for a, b in _parts([xp.view(target), xp.view(source)], rows):
                step = xp.empty(*a.shape)
                do(xp.subtract, b, a, step)
                do(xp.multiply, step, xp.number(tau), step)
                do(xp.add, a, step, a)

    def adam(self, state: AdamState, *, rows: Sequence[int]) -> None:
        """See :class:`Backend`."""
        constants = state.constants or tuple(state.rates.tolist()[1:])
        arrays = [self.xp.view(tensor) for tensor in state[:5]]
        with self.xp.quietly():
            for part in _parts(arrays, rows):
                self._adam(part, self.xp.view(state.rates), constants)

    def _adam(self, arrays: list[Values], rates: Values, constants: tuple[float, ...]) -> None:
        xp, (x, g, m, v, steps) = self.xp, arrays
        beta1, beta2, epsilon, decay = constants
        spare, step, least = xp.empty(*x.shape), _numbers(xp.empty(len(steps))), _numbers(xp.empty(len(steps)))
        self._step_sizes(_numbers(steps), _numbers(rates[0:1]), (beta1, beta2, epsilon), step, least)
        if decay:
            kept = _numbers(xp.empty(1))
            do(xp.copy, _numbers(rates[0:1]), kept)
            do(xp.multiply, kept, xp.number(-decay), kept)
            do(xp.add, kept, xp.one, kept)
            do(xp.multiply, x, kept, x)
        do(xp.subtract, g, m, spare)
        do(xp.multiply, spare, xp.number(1.0 - beta1), spare)
        do(xp.add, m, spare, m)
        do(xp.multiply, g, g, spare)
        do(xp.subtract, spare, v, spare)
        do(xp.multiply, spare, xp.number(1.0 - beta2), spare)
        do(xp.add, v, spare, v)
        do(xp.sqrt, v, spare)
        do(xp.add, spare, _by_seed(least), spare)
        do(xp.divide, m, spare, spare)
        do(xp.multiply, spare, _by_seed(step), spare)
        do(xp.subtract, x, spare, x)

    def _step_sizes(
        self, steps: Values, lr: Values, constants: tuple[float, float, float], step: Values, least: Values
    ) -> None:
        """Count a step of each seed; write ``lr * root / (1 - beta1**t)`` and ``epsilon * root``.

        root is ``sqrt(1 - beta2**t)``; this is algorithm 1 with numerator and denominator multiplied by it. In double
        precision, since beta2**t is close to 1.
        """
        xp, (beta1, beta2, epsilon) = self._doubles, constants
        powers = xp.empty(2, *steps.shape)
        first, root = (powers[k : k + 1].reshape(steps.shape) for k in range(2))  # arrays, also of single numbers
        betas = xp.empty(2, *[1] * steps.ndim)
        xp.fill(beta1, betas[0:1])
        xp.fill(beta2, betas[1:2])
        do(xp.add, steps, xp.one, steps)
        do(xp.power, betas, steps, powers)
        do(xp.subtract, xp.one, powers, powers)
        do(xp.sqrt, root, root)
        do(xp.divide, root, first, first)
        do(xp.multiply, first, lr, step)
        do(xp.multiply, root, xp.number(epsilon), least)


def _check_shapes(name: str, *tensors: Tensor) -> None:
    shapes = [tuple(tensor.shape) for tensor in tensors]
    if len(set(shapes)) > 1:
        raise ShapeError(f"{name}: expected tensors of one shape, got {', '.join(map(str, shapes))}")


def _numbers(a: Values) -> Values:
    """See a single number (1,) without its axis, which NumPy is more than twice as fast with; several as they are."""
    return a.reshape(()) if len(a) == 1 else a


def _by_seed(a: Values) -> Values:
    """See such numbers, one for each seed, as a factor of (S, P)."""
    return a[:, None] if a.ndim else a


def _parts(arrays: list[Values], rows: Sequence[int]) -> list[list[Values]]:
    """Cut out the seeds that learn: all in one piece, or one by one."""
    if len(rows) == len(arrays[0]):
        return [arrays]
    return [[a[k : k + 1] for a in arrays] for k in rows]
