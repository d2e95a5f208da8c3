"""Keep all parameters of a network in one piece of memory, so that whole-network operations are one operation."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from velora.nn.parameters import flat_mask


class FlatParameters:
    """Move a module's parameters into one tensor; the module goes on using them as views of it.

    What a mask switches off is kept at exactly zero: it is zeroed here, and its gradient is always zero.

    Shapes:
        values: (S, P), the parameters of each seed one after another, in the module's order.
        gradient: (S, P), which every parameter's ``grad`` is a view of; ``None`` if the module isn't trained.
        mask: (S, P), 0 and 1; ``None`` if nothing is masked.
    """

    gradient: Tensor | None

    def __init__(self, module: nn.Module, *, is_trained: bool) -> None:
        self.module = module
        self.values = torch.cat([p.detach().flatten(1) for p in module.parameters()], 1).contiguous()
        self.gradient = torch.zeros_like(self.values) if is_trained else None
        self.places: dict[str, tuple[int, int, torch.Size]] = {}
        at = 0
        for name, parameter in module.named_parameters():
            shape = parameter.shape[1:]
            self.places[name] = at, at + shape.numel(), shape
            at += shape.numel()
            parameter.data = self.view(self.values, name)
            if self.gradient is not None:
                parameter.grad = self.view(self.gradient, name)
        self.mask = flat_mask(module)
        self.apply_mask()

    @property
    def n_seeds(self) -> int:
        """Size of the seed axis."""
        return self.values.shape[0]

    def view(self, flat: Tensor, name: str) -> Tensor:
        """See one parameter's part of a tensor shaped like ``values``."""
        begin, end, shape = self.places[name]
        return flat[:, begin:end].view(self.n_seeds, *shape)

    def views(self, flat: Tensor) -> Iterator[tuple[str, Tensor]]:
        """See every parameter's part by name."""
        return ((name, self.view(flat, name)) for name in self.places)

    @torch.no_grad()
    def apply_mask(self) -> None:
        """Take the masks over from the module, as after weights were loaded, and zero what they switch off."""
        if self.mask is not None:
            fresh = flat_mask(self.module)
            assert fresh is not None
            self.mask.copy_(fresh)
            self.values.mul_(self.mask)
