"""Keep all parameters of a network in one piece of memory, so that whole-network operations are one operation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from velora.nn.parameters import named_masks

Kind: TypeAlias = tuple[torch.dtype, tuple[int, ...], torch.device]
"""Type, shape and place of a tensor."""


class FlatParameters:
    """Move a module's parameters into one tensor; the module goes on using them as views of it.

    What a mask switches off is kept at exactly zero: it is zeroed here, and its gradient is always zero.

    Shapes:
        values: (S, P), the parameters of each seed one after another, in the module's order.
        gradient: (S, P), which every parameter's ``grad`` is a view of; ``None`` if the module isn't trained.
        mask: (S, P), 0 and 1; ``None`` if nothing is masked.

    Attributes:
        is_frozen: no update moves the values.
    """

    gradient: Tensor | None

    def __init__(self, module: nn.Module, *, is_trained: bool) -> None:
        self.module = module
        parameters = dict(module.named_parameters())
        self.values = torch.cat([p.detach().flatten(1) for p in parameters.values()], 1).contiguous()
        self.gradient = torch.zeros_like(self.values) if is_trained else None
        self.places: dict[str, tuple[int, int, torch.Size]] = {}
        at = 0
        for name, parameter in parameters.items():
            shape = parameter.shape[1:]
            self.places[name] = at, at + shape.numel(), shape
            at += shape.numel()
        for name, part in self.views(self.values):
            parameters[name].data = part
        if self.gradient is not None:
            for name, part in self.views(self.gradient):
                parameters[name].grad = part
        self.is_frozen = False
        self.mask: Tensor | None = None
        self._probe: tuple[NDArray[Any], NDArray[Any]] | None = None
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
        """See every parameter's part by name, of all seeds or of some."""
        parts = flat.split_with_sizes([end - begin for begin, end, _ in self.places.values()], 1)
        return (
            (name, part.view(len(flat), *shape))
            for part, (name, (_, _, shape)) in zip(parts, self.places.items(), strict=True)
        )

    @torch.no_grad()
    def apply_mask(self) -> None:
        """Take the masks over from the module, as after weights were loaded, and zero what they switch off."""
        for name, mask in named_masks(self.module).items():
            if self.mask is None:
                self.mask = torch.ones_like(self.values)
            self.view(self.mask, name).copy_(mask)
        if self.mask is not None:
            self.values.mul_(self.mask)
            self._probe = self._make_probe(self.mask)

    def follow_masks(self) -> bool:
        """Take the masks over if they were written to, zero what they switch off, and return whether they were."""
        if self.mask is None:
            return False
        masks = named_masks(self.module).items()
        are_others = any(bool((self.view(self.mask, name) != mask).any()) for name, mask in masks)
        if are_others:
            self.apply_mask()
        else:
            with torch.no_grad():
                self.values.mul_(self.mask)
        return are_others

    def leaks(self, seed_index: int | None = None) -> bool:
        """Return whether a number that a mask switches off isn't zero, as after it was written to from outside.

        The sum of all of these numbers, each times a weight of its own, is zero if they are, and else isn't but by
        chance. That takes less than a microsecond. On a GPU, where kernels mask what they read, nothing is looked at.

        Args:
            seed_index: looks at one seed; ``None`` at all.
        """
        if self._probe is None:
            return False
        numbers, weights = self._probe
        if seed_index is not None and self.n_seeds > 1:
            begin, end = seed_index * len(numbers) // self.n_seeds, (seed_index + 1) * len(numbers) // self.n_seeds
            numbers, weights = numbers[begin:end], weights[begin:end]
        return bool(numbers.dot(weights))

    def _make_probe(self, mask: Tensor) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Show the values (S * P,) beside weights in [1, 2) for those that the mask switches off, 0 for all others."""
        if mask.device.type != "cpu" or mask.dtype not in (torch.float32, torch.float64) or bool(mask.all()):
            return None
        weights = np.random.default_rng(0).random(mask.numel()) + 1.0
        numbers: NDArray[Any] = self.values.view(-1).numpy()
        return numbers, (weights * (mask.view(-1) == 0.0).numpy()).astype(numbers.dtype)


def kind(tensor: Tensor) -> Kind:
    """Return type, shape and device of a tensor."""
    return tensor.dtype, tuple(tensor.shape), tensor.device


def in_words(kind: Kind) -> str:
    """Write a kind out."""
    dtype, shape, device = kind
    return f"{str(dtype).removeprefix('torch.')} {shape} on {device}"


def lies_at(tensor: Tensor, place: Tensor) -> bool:
    """Return whether a tensor shows just the memory that another one shows."""
    return tensor.data_ptr() == place.data_ptr() and tensor.stride() == place.stride()
