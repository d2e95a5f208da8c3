"""The shared hidden layers that a dense CfC cell may put before its heads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from velora.core.errors import SettingError
from velora.nn.linear import Affine, Linear, affine


def lecun_tanh(x: Tensor) -> Tensor:
    """Squash to (-1.7159, 1.7159) with unit variance kept for unit-variance inputs (LeCun et al. 1998)."""
    return 1.7159 * torch.tanh(0.666 * x)


ACTIVATIONS: MappingProxyType[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {
        "lecun_tanh": lecun_tanh,
        "tanh": torch.tanh,
        "relu": torch.relu,
        "silu": functional.silu,
        "gelu": functional.gelu,
    }
)


@dataclass(frozen=True, slots=True)
class BackboneSettings:
    """Size a backbone: ``layers`` layers of ``units`` neurons.

    Raises:
        SettingError: if a size is below 1 or the activation is unknown.
    """

    units: int = 128
    layers: int = 1
    activation: str = "lecun_tanh"

    def __post_init__(self) -> None:
        if self.units < 1 or self.layers < 1:
            raise SettingError(
                f"backbone: expected units and layers >= 1, got units={self.units}, layers={self.layers}; "
                "pass backbone=None for none"
            )
        if self.activation not in ACTIVATIONS:
            raise SettingError(f"backbone: activation is one of {', '.join(ACTIVATIONS)}, got {self.activation!r}")


@final
class Backbone(nn.Module):
    """Mix input and state before the heads, so that the heads share features.

    Shapes:
        in: (S, B, in_features). out: (S, B, settings.units).

    Source:
        Hasani et al. 2022, "Closed-form continuous-time neural networks", Methods; ``CfCCell`` of ncps 1.0.1.
        Differs: no dropout, which would make acting and learning see different states.
    """

    def __init__(self, in_features: int, settings: BackboneSettings, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        sizes = [in_features] + [settings.units] * settings.layers
        self.layers = nn.ModuleList(
            Linear(sizes[i], sizes[i + 1], generators=generators, init="xavier") for i in range(settings.layers)
        )
        self.activation = ACTIVATIONS[settings.activation]

    def weights(self) -> tuple[Affine, ...]:
        """Form what :meth:`run` needs."""
        return tuple(layer.weights() for layer in self.layers if isinstance(layer, Linear))

    def forward(self, x: Tensor) -> Tensor:
        """Run every layer once."""
        return self.run(self.weights(), x)

    def run(self, weights: tuple[Affine, ...], x: Tensor) -> Tensor:
        """Run every layer with weights formed before."""
        for layer in weights:
            x = self.activation(affine(layer, x))
        return x
