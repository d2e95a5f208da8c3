"""Put the weights of ncps 1.0.1, the reference implementation, into our cells, and build small cells for tests."""

from __future__ import annotations

from collections.abc import Sequence

import ncps.torch
import torch
from torch import Tensor

from velora.nn.cells import BackboneSettings, Cell, CfCCell, LayeredCell, LTCCell, MixedMemoryCell, make_cell, registry
from velora.nn.linear import Linear
from velora.nn.wiring import auto_ncp

VARIANTS = (*registry.VARIANTS, "dense", "backbone")


def generators(n_seeds: int, first: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(first + k) for k in range(n_seeds)]


def build(variant: str, *, inputs: int = 3, units: int = 8, outputs: int = 2, seeds: Sequence[int] = (0,)) -> Cell:
    """Build any kind of cell; seed k gets wiring k and generator k."""
    rngs = [torch.Generator().manual_seed(seed) for seed in seeds]
    if variant == "dense":
        return CfCCell(inputs, units, rngs)
    if variant == "backbone":
        return CfCCell(inputs, units, rngs, backbone=BackboneSettings(units=6, layers=2))
    wirings = [auto_ncp(inputs, units, outputs, seed=seed) for seed in seeds]
    return make_cell(variant.split()[0], wirings, rngs, **registry.VARIANTS[variant])


def mask_time_heads(theirs: ncps.torch.WiredCfCCell) -> None:
    """Repair the leak of ncps: apply each layer's mask to the time heads as well."""
    with torch.no_grad():
        for layer in theirs._layers:
            if layer.mode != "pure":
                layer.time_a.weight *= layer.sparsity_mask
                layer.time_b.weight *= layer.sparsity_mask


@torch.no_grad()
def load_cfc(ours: CfCCell, theirs: Sequence[ncps.torch.CfCCell]) -> None:
    """Copy one ncps cell into each seed."""
    names = ("ff1",) if ours.mode == "pure" else ("ff1", "ff2", "time_a", "time_b")
    for k, cell in enumerate(theirs):
        heads = [getattr(cell, name) for name in names]
        ours.heads.weight[k] = torch.cat([head.weight for head in heads])
        assert ours.heads.bias is not None
        ours.heads.bias[k] = torch.cat([head.bias for head in heads])
        if ours.mode == "pure":
            ours.w_tau[k], ours.A[k] = cell.w_tau[0], cell.A[0]
        if ours.backbone is not None:
            linears = [layer for layer in cell.backbone if isinstance(layer, torch.nn.Linear)]
            for layer, linear in zip(ours.backbone.layers, linears, strict=True):
                assert isinstance(layer, Linear)
                assert layer.bias is not None
                layer.weight[k], layer.bias[k] = linear.weight, linear.bias


def load_wired_cfc(ours: Cell, theirs: Sequence[ncps.torch.WiredCfCCell]) -> None:
    assert isinstance(ours, LayeredCell)
    for index, layer in enumerate(ours.layers):
        assert isinstance(layer, CfCCell)
        load_cfc(layer, [cell._layers[index] for cell in theirs])


@torch.no_grad()
def load_ltc(ours: Cell, theirs: Sequence[ncps.torch.LTCCell]) -> None:
    assert isinstance(ours, LTCCell)
    for k, cell in enumerate(theirs):
        for name, parameter in ours.named_parameters():
            parameter[k] = cell._params[name]


@torch.no_grad()
def load_lstm(ours: Cell, theirs: Sequence[ncps.torch.lstm.LSTMCell]) -> None:
    assert isinstance(ours, MixedMemoryCell)
    units = ours.cell.state_size
    for k, lstm in enumerate(theirs):
        ours.weight[k] = torch.cat([lstm.input_map.weight, lstm.recurrent_map.weight], 1)
        ours.bias[k] = lstm.input_map.bias
        ours.bias[k, 2 * units : 3 * units] += 1.0


def irregular(*shape: int, seed: int = 1) -> Tensor:
    """Draw elapsed times between 0.05 and 2."""
    return torch.empty(*shape).uniform_(0.05, 2.0, generator=torch.Generator().manual_seed(seed))


def noise(*shape: int, seed: int = 2) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
