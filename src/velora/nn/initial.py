"""Draw the first values of stacked parameters: every seed from its own generator."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from velora.core.errors import SettingError


def stack_seeds(generators: Sequence[torch.Generator], draw: Callable[[torch.Generator], Tensor]) -> nn.Parameter:
    """Make one parameter whose slice ``k`` is what ``draw`` makes of generator ``k``.

    A seed draws from its own generator only, so it starts the same alone as among ten.

    Shapes:
        draw returns any shape (...); the parameter is (S, ...).

    Raises:
        SettingError: if there is no generator.
    """
    if not generators:
        raise SettingError("generators: expected one torch.Generator per seed, got none; pass at least one")
    return nn.Parameter(torch.stack([draw(generator) for generator in generators]))


def blank(*shape: int) -> Tensor:
    """Allocate what first values are drawn into: float32 on the CPU, whatever PyTorch's defaults are."""
    return torch.empty(*shape, dtype=torch.float32, device="cpu")


def full(n_seeds: int, *shape: int, value: float) -> nn.Parameter:
    """Make one parameter (n_seeds, *shape) that begins with one number."""
    return nn.Parameter(blank(n_seeds, *shape).fill_(value))


def uniform(shape: Sequence[int], low: float, high: float, generator: torch.Generator) -> Tensor:
    """Draw uniformly from [low, high)."""
    return blank(*shape).uniform_(low, high, generator=generator)
