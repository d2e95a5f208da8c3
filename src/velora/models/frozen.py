"""Seeds that have stopped while their neighbours go on learning."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


class FrozenSeeds:
    """Remember the parameters and optimizer state of stopped seeds, and put them back after every update.

    An update always moves all seeds, since they share every tensor; dropping one would change all shapes.
    """

    def __init__(self) -> None:
        self._pairs: dict[int, list[tuple[Tensor, Tensor]]] = {}

    def freeze(self, seed_index: int, tensors: Iterable[Tensor]) -> None:
        """Keep one seed's slice of these tensors as it is now.

        Shapes:
            tensors: each (S, ...); those without a seed axis are skipped.
        """
        own = slice(seed_index, seed_index + 1)
        self._pairs[seed_index] = [(t.data[own], t.data[own].clone()) for t in tensors if t.dim() > 0]

    @torch.no_grad()
    def restore(self) -> None:
        """Undo what an update did to them."""
        for pairs in self._pairs.values():
            for live, kept in pairs:
                live.copy_(kept)
