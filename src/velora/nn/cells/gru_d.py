"""The gated recurrent unit whose state decays while nothing is observed, the usual baseline where time is irregular."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from velora.nn.cells.base import Cell, Weights
from velora.nn.cells.heads import gated_heads
from velora.nn.linear import affine
from velora.nn.parameters import stack_seeds, uniform

FIRST_TIME_CONSTANTS = (5.0, 50.0)
"""Between what the time constants of the decay lie at the start, in control steps."""


@final
class GRUDCell(Cell):
    """Let the state decay with the elapsed time, each neuron at a rate of its own, then step a GRU layer.

    ::

        gamma = exp(-max(0, W dt + b));   h <- gamma * h, before all gates
        r, z = sigmoid(heads of concat(x, h));  n = tanh(W_n x + b_n + r * (U h + c));  h' = (1 - z) * n + z * h

    W and b have one number a neuron, so a rate is learned but doesn't depend on input or state, as a leaky cell's does.
    A state that starts within [-1, 1] stays there.

    At the start b is 0, so that no time means no decay, and the time constants 1 / W lie between 5 and 50 control
    steps, drawn evenly on a logarithmic scale: slow, since the gates forget too. W is positive, since where
    ``W dt + b`` is below 0 neither of the two has a gradient.

    Args:
        input_size: features of the input.
        units: number of neurons, which is also the state and output size.
        generators: one per seed.
        mask: (S, units, input_size), non-zero where a neuron reads an input; it holds for all gates.

    Raises:
        SettingError: if a size is below 1.
        ShapeError: if the mask has another shape.

    Source:
        Che et al. 2018, "Recurrent neural networks for multivariate time series with missing values"
        (arXiv 1606.01865), eqs. 10 and 12, and the gates from eq. 13 on in the form of
        :class:`~velora.nn.cells.GRUCell`. Differs: all features are observed together, so that one time has elapsed
        for all, and no value is missing. So there is neither the decay of a missing input towards its mean (eq. 11) nor
        a mask of missing inputs in the gates.
    """

    def __init__(
        self,
        input_size: int,
        units: int,
        generators: Sequence[torch.Generator],
        *,
        mask: Tensor | None = None,
    ) -> None:
        super().__init__(input_size, units, units, n_seeds=len(generators), is_bounded=True)
        self.heads = gated_heads(input_size, units, generators, mask=mask)
        shortest, longest = map(math.log, FIRST_TIME_CONSTANTS)
        self.decay_weight = stack_seeds(generators, lambda g: torch.exp(-uniform((units,), shortest, longest, g)))
        self.decay_bias = nn.Parameter(torch.zeros_like(self.decay_weight))

    def weights(self) -> Weights:
        """Form the masked gates, and what the decay follows from."""
        return self.heads.weights(), self.decay_weight.unsqueeze(1), self.decay_bias.unsqueeze(1)

    def step(self, weights: Weights, x: Tensor, h: Tensor, dt: Tensor) -> Tensor:
        """Advance the layer by one input."""
        heads, rate, offset = weights
        units = self.state_size
        h = h * torch.exp(-torch.relu(torch.addcmul(offset, rate, dt.unsqueeze(2))))
        gates, from_input, from_state = affine(heads, torch.cat((x, h), 2)).split_with_sizes(
            (2 * units, units, units), 2
        )
        reset, keep = torch.sigmoid(gates).chunk(2, 2)
        return torch.lerp(torch.tanh(torch.addcmul(from_input, reset, from_state)), h, keep)
