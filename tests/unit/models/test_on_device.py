"""Agents that keep experience and random numbers where they learn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.models.experience import count
from velora.buffers import DeviceReplayBuffer
from velora.callbacks import SaveCheckpoints
from velora.kernels.arrays.program import CapturedProgram, Program
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidSAC, LiquidTD3

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
AGENTS = [LiquidDDPG, LiquidTD3, LiquidSAC]
ENV = "InvertedPendulum-v5"


def train(make: Callable[..., Any], n_steps: int, **settings: Any) -> Any:
    sizes = {"seeds": (3, 4), "warmup_steps": 20, "buffer_size": 120, "sequence_length": 3, "burn_in": 1}
    agent = make(4, 6, 1, kernel="torch", **sizes, **settings)
    agent.train(ENV, 8, n_episodes=10_000, n_steps=n_steps, progress_bar=False, summary=False)
    return agent


@pytest.mark.parametrize(
    "make",
    [LiquidSAC, *(pytest.param(make, marks=pytest.mark.slow) for make in (LiquidDDPG, LiquidTD3))],
    ids=lambda make: make.__name__,
)
def test_training_goes_the_same_way_to_the_bit(make: type[Agent], monkeypatch: pytest.MonkeyPatch) -> None:
    host = train(make, 200, device="cpu")
    monkeypatch.setattr(Agent, "keeps_on_device", True)
    there = train(make, 200, device="cpu")
    assert isinstance(there.buffer, DeviceReplayBuffer)
    assert min(p.update for p in there.progress) > 100
    for name, net in host.networks.items():
        for value, other in zip(net.state_dict().values(), there.networks[name].state_dict().values(), strict=True):
            assert torch.equal(value, other), name
    for k in range(2):
        assert torch.equal(host.buffer.state_dict(k)["rows"], there.buffer.state_dict(k)["rows"])


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("make", AGENTS, ids=lambda make: make.__name__)
def test_a_replayed_update_on_cuda_does_not_wait(make: type[Agent]) -> None:
    agent = train(make, 300, device="cuda")
    assert isinstance(agent.buffer, DeviceReplayBuffer)
    assert agent.buffer.state_dict(0)["rows"].is_cuda
    torch.cuda.set_sync_debug_mode("error")
    try:
        for update in range(4):  # with and without the policy
            agent.experience.begin(8, (0, 1))
            agent.experience.finish(update, lambda rows, metrics: count(agent, rows))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(value.isfinite().all() for net in agent.networks.values() for value in net.state_dict().values())


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("make", AGENTS, ids=lambda make: make.__name__)
def test_a_captured_update_is_the_same_to_the_bit(make: type[Agent], monkeypatch: pytest.MonkeyPatch) -> None:
    captured = train(make, 200, device="cuda")
    monkeypatch.setattr(CapturedProgram, "run", Program.run)
    one_by_one = train(make, 200, device="cuda")
    for name, net in captured.networks.items():
        for value, other in zip(
            net.state_dict().values(), one_by_one.networks[name].state_dict().values(), strict=True
        ):
            assert torch.equal(value, other), name


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("settings", [{}, {"discrete": True}], ids=["continuous", "discrete"])
@pytest.mark.parametrize("make", [LiquidSAC, LiquidPPO], ids=lambda make: make.__name__)
def test_an_interrupted_life_on_cuda_goes_on_the_same_way(
    make: Callable[..., Any], settings: dict[str, Any], tmp_path: Path
) -> None:
    env, sizes = ("CartPole-v1", (4, 6, 2)) if settings else (ENV, (4, 6, 1))
    more = {"warmup_steps": 20, "buffer_size": 120} if make is LiquidSAC else {"rollout_steps": 32}
    whole, first, rest = (make(*sizes, device="cuda", seeds=(3, 4), **settings, **more) for _ in range(3))
    quiet = {"n_episodes": 10_000, "progress_bar": False, "summary": False}
    whole.train(env, 8, n_steps=320, **quiet)
    saving = SaveCheckpoints(tmp_path, frequency=1_000)
    first.train(env, 8, n_steps=160, callbacks=[saving], **quiet)
    rest.train(env, 8, n_steps=320, resume=tmp_path, **quiet)
    for name, net in whole.networks.items():
        for value, other in zip(net.state_dict().values(), rest.networks[name].state_dict().values(), strict=True):
            assert torch.equal(value, other), name
