"""A small agent, its actor, what it answers, and what a book would answer with its weights."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.shared import QUIET
from velora.models import LiquidDDPG

OBS = np.array([0.3, -0.7, 1.1])


def make(kernel: str = "native", **settings: Any) -> LiquidDDPG:
    own: dict[str, Any] = {"device": "cpu", "seed": 3, "warmup_steps": 20, "buffer_size": 200, "kernel": kernel}
    return LiquidDDPG(3, 8, 1, **{**own, **settings})


def actor(agent: Any) -> nn.Module:
    network: nn.Module = agent.networks["actor"]
    return network


def answer(agent: Any) -> float:
    """Act twice, so that weights of the state count too."""
    _, hidden = agent.predict(OBS)
    return float(agent.predict(OBS, hidden)[0][0])


def by_the_book(agent: Any) -> float:
    """Compute the same from the parameters as a reader sees them, in PyTorch, with all masks applied."""
    net = copy.deepcopy(actor(agent))
    with torch.no_grad():
        h, obs = net.initial_state(1), torch.tensor(OBS, dtype=torch.float32).view(1, 1, 3)  # type: ignore[operator]
        cell: Any = net.cell
        for _ in range(2):
            h = cell(obs, h, torch.ones(1, 1))
        return float(net.actions(h))  # type: ignore[operator]


def train(agent: Any, n_steps: int = 60, **more: Any) -> None:
    agent.train("Pendulum-v1", 8, n_steps=n_steps, **QUIET, **more)


def rewire(net: nn.Module) -> None:
    """A mask is a buffer, which may be written to like any other."""
    for name, mask in net.named_buffers():
        if name.endswith("mask"):
            mask[:, :, 0] = False
