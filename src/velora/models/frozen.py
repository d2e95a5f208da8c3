"""Seeds that have stopped while their neighbours go on learning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor


class FrozenSeeds:
    """Remember the parameters and optimizer state of stopped seeds, and put them back after every update.

    An update always moves all seeds, since they share every tensor; dropping one would change all shapes.
    """

    def __init__(self) -> None:
        self._pairs: dict[int, list[tuple[Tensor, Tensor]]] = {}
        self._shared: dict[int, Mapping[str, Tensor]] = {}

    def __contains__(self, seed_index: object) -> bool:
        """Tell whether a seed has stopped."""
        return seed_index in self._pairs

    def thaw(self) -> None:
        """Let all seeds learn again, as when the next run begins."""
        self._pairs.clear()
        self._shared.clear()

    def freeze(self, seed_index: int, parameters: Iterable[Tensor], optimizer_state: Mapping[str, Tensor]) -> None:
        """Keep one seed's slice of these tensors as it is now.

        Shapes:
            parameters: each (S, ...). optimizer_state: each (S, ...), or () for what all seeds share.
        """
        own = slice(seed_index, seed_index + 1)
        tensors = [*parameters, *(t for t in optimizer_state.values() if t.dim() > 0)]
        self._pairs[seed_index] = [(t.data[own], t.data[own].clone()) for t in tensors]
        self._shared[seed_index] = {name: t.clone() for name, t in optimizer_state.items() if t.dim() == 0}

    def own_state(self, seed_index: int, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Cut one seed's part out of an optimizer's state; what all seeds share is that of its freezing."""
        own = slice(seed_index, seed_index + 1)
        shared = self._shared.get(seed_index, state)
        is_new = seed_index in self._pairs and not shared and any(t.dim() == 0 for t in state.values())
        return {} if is_new else {name: t[own] if t.dim() > 0 else shared[name] for name, t in state.items()}

    @torch.no_grad()
    def restore(self) -> None:
        """Undo what an update did to them."""
        for pairs in self._pairs.values():
            for live, kept in pairs:
                live.copy_(kept)
