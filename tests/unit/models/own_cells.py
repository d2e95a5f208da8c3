"""A cell from outside Velora: a leaky integrator, each neuron with a rate of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import softplus

from velora.nn.cells import Cell, fused_heads
from velora.nn.linear import affine
from velora.nn.parameters import full


class Integrator(Cell):
    """Leaky integrator with a learned rate."""

    def __init__(
        self, input_size: int, units: int, generators: Sequence[torch.Generator], *, mask: Tensor | None = None
    ) -> None:
        super().__init__(input_size, units, units, n_seeds=len(generators), is_bounded=True)
        self.heads = fused_heads(input_size, units, 1, generators, mask=mask)
        self.rate = full(len(generators), units, value=0.0)

    def weights(self) -> tuple[object, ...]:
        return self.heads.weights(), softplus(self.rate).unsqueeze(1)

    def step(self, weights: tuple[object, ...], x: Tensor, h: Tensor, dt: Tensor) -> Tensor:
        head, rate = weights
        target = torch.tanh(affine(head, torch.cat((x, h), 2)))  # type: ignore[arg-type]
        return torch.lerp(target, h, torch.exp(-rate * dt.unsqueeze(2)))  # type: ignore[operator]


class Timeless(Integrator):
    """The same with steps of one length."""

    takes_time = False

    def step(self, weights: tuple[object, ...], x: Tensor, h: Tensor, dt: Tensor) -> Tensor:
        return super().step(weights, x, h, torch.ones_like(dt))
