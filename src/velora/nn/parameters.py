"""Trained parameters stacked over seeds: how they are drawn, masked and counted."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from velora.core import allowance
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
    """Allocate what first values are drawn into: float32 on the CPU, whatever PyTorch's defaults are.

    Raises:
        SettingError: if the settings come from a file that can't fill it.
    """
    allowance.take(math.prod(shape), "weights")
    return torch.empty(*shape, dtype=torch.float32, device="cpu")


def full(n_seeds: int, *shape: int, value: float) -> nn.Parameter:
    """Make one parameter (n_seeds, *shape) that begins with one number."""
    return nn.Parameter(blank(n_seeds, *shape).fill_(value))


def uniform(shape: Sequence[int], low: float, high: float, generator: torch.Generator) -> Tensor:
    """Draw uniformly from [low, high)."""
    return blank(*shape).uniform_(low, high, generator=generator)


@final
class Scalar(nn.Module):
    """Trained number that nothing goes into, such as a temperature.

    Shapes:
        value: (S, 1).
    """

    def __init__(self, n_seeds: int, value: float) -> None:
        super().__init__()
        self.value = full(n_seeds, 1, value=value)


class Masked(ABC):
    """Module that masks some of its parameters."""

    @abstractmethod
    def masked_parameters(self) -> dict[str, Tensor]:
        """Map the name of each masked parameter to its mask, of the same shape."""


class ParameterCount(NamedTuple):
    """Numbers that a network holds, and how many of them have an effect."""

    active: int
    total: int


def count_parameters(module: nn.Module, seed_index: int = 0) -> ParameterCount:
    """Count the parameters of one seed of a stacked network.

    Args:
        module: a network of this package; all parameters and masks are (S, ...).
        seed_index: the seed; different wirings may have different numbers of synapses.

    Example:
        >>> import torch
        >>> from velora.nn.linear import Linear
        >>> mask = torch.tensor([[1, 0, 0], [1, 1, 0]])
        >>> count_parameters(Linear(3, 2, generators=[torch.Generator()], mask=mask))
        ParameterCount(active=5, total=8)
    """
    active = total = 0
    for part in module.modules():
        masks = part.masked_parameters() if isinstance(part, Masked) else {}
        for name, parameter in part.named_parameters(recurse=False):
            size = parameter[seed_index].numel()
            total += size
            active += int(masks[name][seed_index].sum()) if name in masks else size
    return ParameterCount(active, total)


def named_masks(module: nn.Module) -> dict[str, Tensor]:
    """Map the name of each masked parameter in a network to its mask; the masks are the live ones."""
    return {
        f"{place}.{name}" if place else name: mask
        for place, part in module.named_modules()
        if isinstance(part, Masked)
        for name, mask in part.masked_parameters().items()
    }


def flat_mask(module: nn.Module) -> Tensor | None:
    """Join the masks of all parameters, side by side in the parameters' order; ``None`` if nothing is masked.

    Shapes:
        returns: (S, P), 0 and 1, of the parameters' type.
    """
    masks = named_masks(module)
    if not masks:
        return None
    parts = [masks[n].to(p.dtype) if n in masks else torch.ones_like(p) for n, p in module.named_parameters()]
    return torch.cat([part.detach().flatten(1) for part in parts], 1)
