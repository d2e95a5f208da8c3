"""The choice of how a network runs."""

from __future__ import annotations

import torch

from velora.kernels.native.unroll import is_known
from velora.nn.flat import FlatParameters
from velora.nn.run.arrays import ArrayNetwork
from velora.nn.run.autograd import TorchNetwork
from velora.nn.run.native import NativeNetwork
from velora.nn.run.network import Network, Unrollable


def make_network(module: Unrollable, flat: FlatParameters, kernel: str) -> Network:
    """Choose how to run a network: as ``kernel`` says, where that can, and through autograd what has no plan."""
    values = flat.values
    plan = module.plan() if values.dtype in (torch.float32, torch.float64) else None
    if plan is None:
        return TorchNetwork(module, flat)
    if kernel == "native" and values.dtype == torch.float32 and is_known(plan):
        return NativeNetwork(plan, flat)
    return ArrayNetwork(plan, flat, "numpy" if kernel == "native" else kernel)
