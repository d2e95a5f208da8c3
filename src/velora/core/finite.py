"""Where NaN and infinity are, once it is known that there are some."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn


def first_not_finite(named: Iterable[tuple[str, Tensor]], seed_index: int) -> str | None:
    """Return the first name whose numbers of one seed aren't all finite; ``None`` if all are.

    Shapes:
        named: tensors (S, ...).
    """
    for name, tensor in named:
        own = tensor.detach()[seed_index]
        if own.is_floating_point() and not bool(own.isfinite().all()):
            return name
    return None


def weights_of(networks: Iterable[tuple[str, nn.Module]]) -> Iterable[tuple[str, Tensor]]:
    """Name the weights of networks, such as ``actor.readout.bias``."""
    return ((f"{net}.{name}", weight) for net, module in networks for name, weight in module.named_parameters())
