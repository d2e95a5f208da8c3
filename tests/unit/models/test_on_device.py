"""Agents that keep experience and random numbers where they learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from velora.buffers import DeviceReplayBuffer
from velora.models import LiquidDDPG, LiquidSAC, LiquidTD3
from velora.models.off_policy import OffPolicyAgent

AGENTS = [LiquidDDPG, LiquidTD3, LiquidSAC]
ENV = "InvertedPendulum-v5"


def train(make: Callable[..., Any], n_steps: int, **settings: Any) -> Any:
    sizes = {"seeds": (3, 4), "warmup_steps": 20, "buffer_size": 120, "sequence_length": 3, "burn_in": 1}
    agent = make(4, 6, 1, kernel="torch", **sizes, **settings)
    agent.train(ENV, 8, n_episodes=10_000, n_steps=n_steps, progress_bar=False, summary=False)
    return agent


@pytest.mark.parametrize("make", AGENTS, ids=lambda make: make.__name__)
def test_training_goes_the_same_way_to_the_bit(make: type[OffPolicyAgent], monkeypatch: pytest.MonkeyPatch) -> None:
    host = train(make, 200, device="cpu")
    monkeypatch.setattr(OffPolicyAgent, "keeps_on_device", True)
    there = train(make, 200, device="cpu")
    assert isinstance(there.buffer, DeviceReplayBuffer)
    assert min(p.update for p in there.progress) > 100
    for name, net in host.networks.items():
        for value, other in zip(net.state_dict().values(), there.networks[name].state_dict().values(), strict=True):
            assert torch.equal(value, other), name
    for k in range(2):
        assert torch.equal(host.buffer.state_dict(k)["rows"], there.buffer.state_dict(k)["rows"])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("make", AGENTS, ids=lambda make: make.__name__)
def test_a_replayed_update_on_cuda_does_not_wait(make: type[OffPolicyAgent]) -> None:
    agent = train(make, 300, device="cuda")
    assert isinstance(agent.buffer, DeviceReplayBuffer)
    assert agent.buffer.state_dict(0)["rows"].is_cuda
    torch.cuda.set_sync_debug_mode("error")
    try:
        for update in range(4):  # with and without the policy
            agent.begin_learning(8, (0, 1))
            agent.finish_learning(8, update)
            for lived in agent.progress:
                lived.update += 1
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(value.isfinite().all() for net in agent.networks.values() for value in net.state_dict().values())
