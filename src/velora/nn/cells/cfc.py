"""The closed-form continuous-time cell, in the three forms that ncps knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, final, get_args

import torch
from torch import Tensor

from velora.core.errors import SettingError
from velora.nn.cells.backbone import Backbone, BackboneSettings
from velora.nn.cells.base import Cell, Weights
from velora.nn.cells.heads import fused_heads
from velora.nn.linear import Linear, affine
from velora.nn.parameters import full

CfCMode: TypeAlias = Literal["default", "pure", "no_gate"]


@final
class CfCCell(Cell):
    """Step a liquid layer by its closed-form solution: no solver, and time enters as a number.

    With z = concat(x, h), or the backbone of it, and every head a linear map of z::

        default:  h' = (1 - g) * tanh(ff1) + g * tanh(ff2),   g = sigmoid(time_a * dt + time_b)
        no_gate:  h' = tanh(ff1) + g * tanh(ff2)                       (lies in [-2, 2])
        pure:     h' = A - A * exp(-dt * (|w_tau| + |ff1|)) * ff1      (unbounded)

    The old state enters through the heads only; there is no path that carries it over, so long memories need
    ``MixedMemoryCell``. All neurons are outputs; ``LayeredCell`` stacks such layers into a circuit.

    Args:
        input_size: features of the input.
        units: number of neurons, which is also the state and output size.
        generators: one per seed.
        mode: which of the three forms.
        mask: (S, units, input_size), non-zero where a neuron reads an input, for every head; ``None`` reads all.
        backbone: hidden layers before the heads; ``None`` for none. Not together with a mask.

    Raises:
        SettingError: if a setting is out of its domain, or both a mask and a backbone are given.
        ShapeError: if the mask has another shape.

    Source:
        Hasani et al. 2022, "Closed-form continuous-time neural networks", eqs. 3 (pure) and 4 (default), in the forms
        of ncps 1.0.1: ``time_b`` is ncps's addition to eq. 4. Differs from ncps: dt is one number per sample (ncps
        mixes up batch and neurons); a mask holds on the time heads too; ``A`` starts at 1 as
        documented there, where its Xavier initialiser overwrites it with noise; ``w_tau`` starts at 0.1, since at the
        documented 0 its absolute value has no gradient and it would never move.
    """

    def __init__(
        self,
        input_size: int,
        units: int,
        generators: Sequence[torch.Generator],
        *,
        mode: CfCMode = "default",
        mask: Tensor | None = None,
        backbone: BackboneSettings | None = None,
    ) -> None:
        super().__init__(input_size, units, units, n_seeds=len(generators), is_bounded=mode == "default")
        if mode not in get_args(CfCMode):
            raise SettingError(f"cell_mode: a CfC cell is one of {', '.join(get_args(CfCMode))}, got {mode!r}")
        if mask is not None and backbone is not None:
            raise SettingError("backbone: it mixes all inputs, so it can't be used with a wiring; drop one of the two")
        self.mode = mode
        n_heads = 1 if mode == "pure" else 4
        self.is_plain = backbone is None
        self.backbone = None if backbone is None else Backbone(input_size + units, backbone, generators)
        if backbone is None:
            self.heads = fused_heads(input_size, units, n_heads, generators, mask=mask)
        else:
            self.heads = Linear(backbone.units, n_heads * units, generators=generators, init="xavier", n_heads=n_heads)
        if mode == "pure":
            self.w_tau = full(len(generators), units, value=0.1)
            self.A = full(len(generators), units, value=1.0)

    def weights(self) -> Weights:
        """Form the masked heads, the backbone's layers and, in the pure form, |w_tau| and A."""
        backbone = None if self.backbone is None else self.backbone.weights()
        if self.mode == "pure":
            return self.heads.weights(), backbone, self.w_tau.abs().unsqueeze(1), self.A.unsqueeze(1)
        return self.heads.weights(), backbone

    def step(self, weights: Weights, x: Tensor, h: Tensor, dt: Tensor) -> Tensor:
        """Advance the layer by one input."""
        z = torch.cat((x, h), 2)
        if self.backbone is not None:
            z = self.backbone.run(weights[1], z)
        heads = affine(weights[0], z)
        elapsed = dt.unsqueeze(2)
        if self.mode == "pure":
            _, _, leak, equilibrium = weights
            decayed = torch.exp(-elapsed * (leak + heads.abs())) * heads
            return torch.addcmul(equilibrium, equilibrium, decayed, value=-1.0)
        units = self.state_size
        both, time_a, time_b = heads.split_with_sizes((2 * units, units, units), 2)
        gate = torch.sigmoid(torch.addcmul(time_b, time_a, elapsed))
        ff1, ff2 = torch.tanh(both).chunk(2, 2)
        return torch.addcmul(ff1, gate, ff2) if self.mode == "no_gate" else torch.lerp(ff1, ff2, gate)
