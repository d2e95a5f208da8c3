"""A small agent's state, to save in every way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from velora.checkpoint.schema import Part

State = dict[Part, dict[str, Tensor]]


@pytest.fixture
def fields() -> dict[str, Any]:
    """What an agent says about itself."""
    return {
        "agent": "liquid_ddpg",
        "seed": 3,
        "settings": {"n_neurons": 10, "gamma": 0.99},
        "optimizers": {"actor": {"name": "adam", "lr": 1e-4, "betas": [0.9, 0.999]}},
        "progress": {"episode": 10, "step": 2000, "update": 1000},
    }


@pytest.fixture
def state() -> State:
    """The least an agent saves."""
    return {
        "model_state": {"actor.weight": torch.arange(6.0).view(1, 2, 3), "actor.bias": torch.tensor([[-1.0, 0.5]])},
        "optim_state": {"actor.step": torch.tensor(4.0)},
    }


@pytest.fixture
def buffer() -> tuple[dict[str, Any], State]:
    """A buffer: its metadata and its tensors."""
    info = {"capacity": 4, "size": 3, "position": 3}
    return {"buffer": info}, {"buffer_state": {"obs": torch.arange(8.0).view(4, 2)}}


@pytest.fixture
def train() -> tuple[dict[str, Any], State]:
    """A train state: its metadata and its tensors."""
    return {"train_state": {"best": -200.5}}, {"train_state": {"generator": torch.arange(4, dtype=torch.uint8)}}


@pytest.fixture
def one_line() -> Callable[[BaseException], bool]:
    """Tell whether an error is one line that a person can read."""
    return lambda error: "\n" not in str(error) and len(str(error)) < 500
