"""Several updates in a step, or one in several steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.unit.models.experience import fill, learn, parameters
from velora.callbacks import Callback
from velora.core.errors import SettingError
from velora.models import Agent, LiquidDDPG, LiquidSAC, LiquidTD3
from velora.models.experience import Replay
from velora.testing import AgentContract


class Thrice(LiquidTD3, replays=True):
    """Makes three updates in every step."""

    def configure_experience(self) -> Replay:
        return Replay(self, updates_per_step=3)


class Rarely(LiquidTD3, replays=True):
    """Makes an update in every fourth step."""

    def configure_experience(self) -> Replay:
        return Replay(self, updates_per_step=0.25)


def filled(kind: type[LiquidTD3]) -> LiquidTD3:
    agent = kind(3, 6, 2, device="cpu", seeds=[1, 2, 3], warmup_steps=0, buffer_size=90)
    generator = np.random.default_rng(0)
    for k in range(3):
        fill(agent, k, generator, 100 + k)
    agent.configure_training()
    return agent


def test_three_updates_in_a_step_are_three_updates() -> None:
    thrice, once = filled(Thrice), filled(LiquidTD3)
    metrics = learn(thrice)
    for _ in range(3):
        expected = learn(once)
    assert [p.update for p in thrice.progress] == [3, 3, 3]
    assert all(torch.equal(value, expected[name]) for name, value in metrics.items())
    for net in once.networks:
        for name, value in parameters(once, net).items():
            assert torch.equal(value, parameters(thrice, net)[name]), (net, name)


class Seen(Callback):
    """Keeps when updates were made, as they are told."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.updates: list[int] = []
        self.told: list[int] = []

    def on_train_batch_end(self, trainer: Any, agent: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.steps.append(trainer.step)
        self.updates.append(trainer.update)
        self.told.append(batch_idx)


@pytest.mark.parametrize(
    ("kind", "steps"),
    [(Thrice, [n for n in range(11, 21) for _ in range(3)]), (Rarely, [12, 16, 20])],
)
def test_hooks_fire_and_counters_count_at_every_update(kind: type[LiquidTD3], steps: list[int]) -> None:
    agent, seen = kind(3, 6, 1, seed=1, device="cpu", warmup_steps=10), Seen()
    agent.train("Pendulum-v1", 4, n_steps=20, callbacks=[seen], progress_bar=False, summary=False)
    assert seen.steps == steps
    assert seen.updates == [n + 1 for n in range(len(steps))]
    assert seen.told == list(range(len(steps)))
    assert agent.progress[0].update == len(steps)


@pytest.mark.parametrize("kind", [LiquidDDPG, LiquidTD3, LiquidSAC])
def test_a_setting_says_how_many_updates_are_in_a_step(kind: type[Agent]) -> None:
    sizes: dict[str, Any] = {"seed": 1, "device": "cpu", "warmup_steps": 10, "buffer_size": 90}
    agents = [kind(3, 6, 1, **sizes, **more) for more in ({}, {"updates_per_step": 4})]
    for agent in agents:
        agent.train("Pendulum-v1", 4, n_steps=15, progress_bar=False, summary=False)
    assert [agent.progress[0].update for agent in agents] == [5, 20]


def test_a_step_has_at_least_one_update() -> None:
    with pytest.raises(SettingError, match="updates_per_step: input should be greater than or equal to 1, got 0"):
        LiquidSAC(3, 6, 1, updates_per_step=0)


@pytest.mark.parametrize("kind", [Thrice, Rarely])
def test_they_keep_to_the_contract(kind: type[LiquidTD3], tmp_path: Path) -> None:
    """Recorded as step by step, a seed among others as alone, and resumed as never stopped."""

    class Contract(AgentContract):
        n_steps = 55  # no multiple of four

        def make(self, **own: Any) -> Agent:
            return kind(3, 6, 1, **{"warmup_steps": 20, "buffer_size": 100, "device": "cpu", **own})

    contract = Contract()
    contract.test_a_recorded_update_is_the_update_step_by_step()
    contract.test_a_seed_among_four_goes_the_way_it_goes_alone()
    contract.test_a_run_in_two_halves_is_the_run_in_one(tmp_path)
