"""Networks that aren't told of time."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from torch import Tensor

from velora.nn.run.network import Outputs

if TYPE_CHECKING:
    from velora.nn.run.network import Network, Pullback


class Timeless:
    """Run a network as if every step took 1, whatever ``dt`` says; see :class:`velora.nn.run.network.Network`."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.kernel, self.flat, self.has_memory = network.kernel, network.flat, network.has_memory

    def run(
        self,
        *sources: Tensor,
        hidden: Tensor | None = None,
        dt: Tensor | None = None,
        resets: Tensor | None = None,
        wants: Collection[str] = ("out",),
    ) -> Outputs:
        """Compute without ``dt``."""
        return self._network.run(*sources, hidden=hidden, resets=resets, wants=wants)

    def vjp(
        self, *sources: Tensor, hidden: Tensor | None = None, dt: Tensor | None = None, resets: Tensor | None = None
    ) -> tuple[Tensor, Pullback]:
        """Compute without ``dt``, and return what carries a gradient back."""
        return self._network.vjp(*sources, hidden=hidden, resets=resets)

    def stepper(
        self, source: Tensor, hidden: Tensor, dt: Tensor | None
    ) -> tuple[Tensor, Callable[[tuple[int, ...]], None]]:
        """Prepare to step without ``dt``."""
        return self._network.stepper(source, hidden, None)
