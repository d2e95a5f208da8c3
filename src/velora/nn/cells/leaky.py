"""The leaky gated cell: a liquid time constant that input and state decide, solved exactly over each step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias, final, get_args

import torch
from torch import Tensor
from torch.nn.functional import softplus

from velora.core.errors import SettingError
from velora.nn.cells.base import Cell, Weights
from velora.nn.cells.heads import fused_heads, gated_heads
from velora.nn.linear import affine
from velora.nn.parameters import uniform

LeakyMode: TypeAlias = Literal["default", "no_reset"]
FIRST_TIME_CONSTANTS = (1.0, 4.0)
"""Between what the time constants lie at the start, in control steps."""


@final
class LeakyCell(Cell):
    """Let every neuron leak towards a target, at a rate of its own that input and state decide.

    ::

        dh/dt = -rate * (h - n),   so with rate and n held over the step   h' = d * h + (1 - d) * n
        rate = softplus(linear map of concat(x, h)),   d = exp(-dt * rate)
        default:   n = tanh(W x + b + r * (U h + c)),   r = sigmoid(linear map of concat(x, h))
        no_reset:  n = tanh(W x + b + U h)

    The old state has a path of its own, which a CfC doesn't have, so that memories can last; they fade with the time
    that passes, not with the number of inputs. With ``dt`` = 1 the default form is a GRU: the two differ by what
    ``dt`` does. A state that starts within [-1, 1] stays there. ``dt`` = 0 leaves it as it is.

    At the start the bias of the rate puts the time constants 1 / rate between 1 and 4 control steps, drawn evenly on a
    logarithmic scale. Shorter ones forget what a velocity has to be told from; longer ones add up over the three layers
    of a circuit until the action comes too late. They differ, so that a circuit remembers over several spans.

    Args:
        input_size: features of the input.
        units: number of neurons, which is also the state and output size.
        generators: one per seed.
        mode: with a reset gate (``"default"``) or without one (``"no_reset"``), which has two thirds of the parameters.
        mask: (S, units, input_size), non-zero where a neuron reads an input; it holds for rate, gate and target.

    Raises:
        SettingError: if a setting is out of its domain.
        ShapeError: if the mask has another shape.

    Source:
        Hasani et al. 2021, "Liquid time-constant networks", for a time constant that depends on the input; the
        exponential step over frozen coefficients is the exponential Euler method. The gates are those of
        :class:`~velora.nn.cells.GRUCell`, where the reset comes after the product with U, so that one product serves
        all heads. Spread time constants at the start: Tallec & Ollivier 2018, "Can recurrent neural networks warp
        time?", section 3. Differs: on a logarithmic scale, and short.
    """

    def __init__(
        self,
        input_size: int,
        units: int,
        generators: Sequence[torch.Generator],
        *,
        mode: LeakyMode = "default",
        mask: Tensor | None = None,
    ) -> None:
        super().__init__(input_size, units, units, n_seeds=len(generators), is_bounded=True)
        if mode not in get_args(LeakyMode):
            raise SettingError(f"cell_mode: a leaky cell is one of {', '.join(get_args(LeakyMode))}, got {mode!r}")
        self.mode = mode
        self._has_reset = mode == "default"
        if self._has_reset:
            self.heads = gated_heads(input_size, units, generators, mask=mask)
        else:
            self.heads = fused_heads(input_size, units, 2, generators, mask=mask, init="torch")
        shortest, longest = map(math.log, FIRST_TIME_CONSTANTS)
        rate_at = units if self._has_reset else 0
        assert self.heads.bias is not None
        with torch.no_grad():
            for bias, generator in zip(self.heads.bias, generators, strict=True):
                rates = torch.exp(-uniform((units,), shortest, longest, generator))
                bias[rate_at : rate_at + units] = torch.log(torch.expm1(rates))  # softplus of it is the rate

    def weights(self) -> Weights:
        """Form the masked heads."""
        return (self.heads.weights(),)

    def step(self, weights: Weights, x: Tensor, h: Tensor, dt: Tensor) -> Tensor:
        """Advance the layer by one input."""
        heads = affine(weights[0], torch.cat((x, h), 2))
        if self._has_reset:
            reset, rate, from_input, from_state = heads.chunk(4, 2)
            target = torch.addcmul(from_input, torch.sigmoid(reset), from_state)
        else:
            rate, target = heads.chunk(2, 2)
        kept = torch.exp(-dt.unsqueeze(2) * softplus(rate))
        return torch.lerp(torch.tanh(target), h, kept)
