"""The self-check: small networks computed by the native kernel and by PyTorch, and the largest difference."""

from __future__ import annotations

import torch
from torch import Tensor

from velora import kernels
from velora.nn.cells import CELL_KINDS, make_cell
from velora.nn.flat import FlatParameters
from velora.nn.networks.critics import QNetwork
from velora.nn.networks.policies import LiquidActor
from velora.nn.parameters import blank, uniform
from velora.nn.run.make import make_network
from velora.nn.run.network import Unrollable
from velora.nn.wiring import auto_ncp

LIMIT = 1e-5
"""The largest difference of float32 results that rounding explains, relative to the largest result (at least 1)."""
N_SEEDS, N_BATCH, N_TIME, N_INPUTS = 2, 9, 6, 4


def differences() -> dict[str, float]:
    """Compare the two on small networks of every kind, forward and backward, with irregular time steps.

    Returns:
        By kind, the largest difference of outputs and gradients, relative to the largest of them.
    """
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = {cell: _difference(_actor(cell), N_INPUTS, has_memory=True) for cell in CELL_KINDS}
        generators = [torch.Generator("cpu").manual_seed(k) for k in range(N_SEEDS)]
        critic = QNetwork(N_INPUTS, 1, units=(16, 16), generators=generators)
        return {**found, "dense": _difference(critic, N_INPUTS, 1, has_memory=False)}
    finally:
        torch.set_num_threads(n_threads)


def _actor(kind: str) -> LiquidActor:
    wirings = [auto_ncp(N_INPUTS, 11, 1, seed=k) for k in range(N_SEEDS)]
    return LiquidActor(make_cell(kind, wirings, [torch.Generator("cpu").manual_seed(k) for k in range(N_SEEDS)]))


def _difference(network: Unrollable, *widths: int, has_memory: bool) -> float:
    """Compare the outputs and the gradient of one network."""
    g = torch.Generator("cpu").manual_seed(0)
    shape = N_SEEDS, N_BATCH, N_TIME
    sources = tuple(blank(*shape, width).normal_(generator=g) for width in widths)
    dt, resets = uniform(shape, 0.0, 2.0, g), uniform(shape, 0.0, 1.0, g) < 0.2
    times = (dt, resets) if has_memory else (None, None)
    flat = FlatParameters(network, is_trained=True)  # type: ignore[arg-type]
    native = make_network(network, flat, "native")
    out, pullback = native.vjp(*sources, dt=times[0], resets=times[1])
    d_out = blank(*out.shape).normal_(generator=g)
    pullback.parameters(d_out)
    assert flat.gradient is not None
    with torch.enable_grad(), kernels.using("torch"):
        expected, _, _ = network.unroll(sources, None, *times)
        # Of a scalar, since torch imports half a second of sympy for the gradient of anything else.
        parts = torch.autograd.grad((expected * d_out).sum(), list(flat.module.parameters()))
    gradient = torch.cat([part.flatten(1) for part in parts], 1)
    return max(_apart(out, expected.detach()), _apart(flat.gradient, gradient))


def _apart(ours: Tensor, theirs: Tensor) -> float:
    scale = max(1.0, float(theirs.abs().max()))
    difference = (ours - theirs).abs()
    return float(difference.max()) / scale if bool(difference.isfinite().all()) else float("inf")
