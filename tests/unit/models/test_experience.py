"""What an agent learns from is a part of it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidSAC, LiquidTD3

SMALL: dict[type[Agent], dict[str, Any]] = {
    LiquidDDPG: {"warmup_steps": 10},
    LiquidTD3: {"warmup_steps": 10},
    LiquidSAC: {"warmup_steps": 10},
    LiquidPPO: {"rollout_steps": 24},
}


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_collector")
@pytest.mark.parametrize("kind", [LiquidDDPG, LiquidTD3, LiquidSAC, LiquidPPO])
def test_a_dropped_agent_is_freed_with_its_buffer_at_once(kind: type[LiquidDDPG]) -> None:
    """Nothing waits until Python looks for cycles of references."""
    agent = kind(3, 6, 1, device="cpu", **SMALL[kind])
    agent.train("Pendulum-v1", 8, n_steps=30, progress_bar=False, summary=False)
    assert agent.progress[0].update > 0
    kept = weakref.ref(agent), weakref.ref(agent.buffer)
    del agent
    assert [one() for one in kept] == [None, None]


def test_an_algorithm_says_four_things() -> None:
    assert Agent.__abstractmethods__ == {
        "configure_networks", "learning_rates", "configure_experience", "training_step",
    }  # fmt: skip
