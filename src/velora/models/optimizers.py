"""Optimizers by short key, with the state that each keeps, so that loading needs no class named in a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import Optimizer

from velora.checkpoint.registry import Registry


@dataclass(frozen=True, slots=True)
class OptimizerKind:
    """Say how to build an optimizer and which tensors it keeps for each parameter.

    ``state`` names those shaped like the parameter; ``counts_steps`` tells whether there is a scalar ``step`` besides.
    """

    build: Callable[[Sequence[nn.Parameter], float], Optimizer]
    state: tuple[str, ...]
    counts_steps: bool = True


OPTIMIZERS: Registry[OptimizerKind] = Registry("optimizer")
"""Register an optimizer of your own here; it has to be elementwise, so that seeds don't mix."""

OPTIMIZERS.register("adam")(OptimizerKind(lambda p, lr: torch.optim.Adam(p, lr, fused=True), ("exp_avg", "exp_avg_sq")))
OPTIMIZERS.register("adamw")(
    OptimizerKind(lambda p, lr: torch.optim.AdamW(p, lr, fused=True), ("exp_avg", "exp_avg_sq"))
)
OPTIMIZERS.register("rmsprop")(OptimizerKind(lambda p, lr: torch.optim.RMSprop(p, lr), ("square_avg",)))
OPTIMIZERS.register("sgd")(OptimizerKind(lambda p, lr: torch.optim.SGD(p, lr), (), counts_steps=False))
