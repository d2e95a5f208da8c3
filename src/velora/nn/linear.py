"""A linear layer that is stacked over seeds and may be masked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, final

import torch
from torch import Tensor, nn

from velora.core.errors import SettingError, ShapeError
from velora.nn.parameters import Masked, stack_seeds, uniform

Affine: TypeAlias = tuple[Tensor, Tensor | None]
"""A transposed (and masked) weight (S, in, out) and a bias (S, 1, out), ready for :func:`affine`."""


def affine(weights: Affine, x: Tensor) -> Tensor:
    """Map x (S, N, in) to (S, N, out) in one product for all seeds."""
    weight, bias = weights
    return torch.bmm(x, weight) if bias is None else torch.baddbmm(bias, x, weight)


@final
class Linear(nn.Module, Masked):
    """S linear maps side by side, each with its own weights and, if asked, its own mask.

    A masked weight is zero from the start and its gradient is always zero, so no optimizer that starts from zero
    moments ever moves it. The mask is a buffer: a checkpoint restores the wiring together with the weights.

    Shapes:
        weight: (S, out, in). bias: (S, out). mask: (S, out, in), bool, True where a connection exists.

    Args:
        in_features: size of the input, at least 1.
        out_features: size of the output, at least 1; a multiple of ``n_heads``.
        generators: one per seed; they draw the weight, then the bias.
        mask: anything that broadcasts to (S, out, in); non-zero keeps the weight. ``None`` keeps all.
        bias: whether to add a trainable offset.
        init: ``"torch"`` is U(-k, k) with k = in**-0.5, as ``torch.nn.Linear`` does; ``"xavier"`` is Xavier uniform.
            The bias is always ``"torch"``.
        n_heads: number of equal parts the output consists of. It only matters to Xavier, which treats every head as
            a layer of its own, so that fusing heads into one product does not change how they start.

    Raises:
        SettingError: if a size or ``n_heads`` doesn't fit, ``init`` is unknown or there is no generator.
        ShapeError: if ``mask`` doesn't broadcast.

    Example:
        >>> layer = Linear(3, 2, generators=[torch.Generator().manual_seed(k) for k in range(5)])
        >>> layer(torch.ones(5, 7, 3)).shape
        torch.Size([5, 7, 2])
    """

    mask: Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        generators: Sequence[torch.Generator],
        mask: Tensor | None = None,
        bias: bool = True,
        init: Literal["torch", "xavier"] = "torch",
        n_heads: int = 1,
    ) -> None:
        super().__init__()
        if min(in_features, out_features, n_heads) < 1 or out_features % n_heads:
            raise SettingError(
                f"Linear: expected sizes >= 1 and out_features a multiple of n_heads, "
                f"got in_features={in_features}, out_features={out_features}, n_heads={n_heads}"
            )
        if init not in ("torch", "xavier"):
            raise SettingError(f"Linear: init is 'torch' or 'xavier', got {init!r}")
        spread = in_features**-0.5
        fan_out = out_features // n_heads
        limit = spread if init == "torch" else (6.0 / (in_features + fan_out)) ** 0.5
        self.weight = stack_seeds(generators, lambda g: uniform((out_features, in_features), -limit, limit, g))
        self.bias = stack_seeds(generators, lambda g: uniform((out_features,), -spread, spread, g)) if bias else None
        self.register_buffer("mask", None if mask is None else _full_mask(mask, self.weight))
        if self.mask is not None:
            with torch.no_grad():
                self.weight.mul_(self.mask)

    @property
    def n_seeds(self) -> int:
        """Number of maps side by side."""
        return self.weight.shape[0]

    def weights(self) -> Affine:
        """Form what :func:`affine` needs; do it once where the layer is applied many times."""
        weight = self.weight if self.mask is None else self.weight * self.mask
        return weight.mT, None if self.bias is None else self.bias.unsqueeze(1)

    def masked_parameters(self) -> dict[str, Tensor]:
        """Map the name of each masked parameter to its mask."""
        return {} if self.mask is None else {"weight": self.mask}

    def forward(self, x: Tensor) -> Tensor:
        """Map every row of x with the weights of its seed.

        Shapes:
            x: (S, N, in). Returns (S, N, out).
        """
        return affine(self.weights(), x)


def _full_mask(mask: Tensor, weight: Tensor) -> Tensor:
    try:
        return (mask != 0).expand_as(weight).clone()
    except RuntimeError:
        raise ShapeError(
            f"mask: expected a shape that broadcasts to {tuple(weight.shape)} (seeds, out, in), got {tuple(mask.shape)}"
        ) from None
