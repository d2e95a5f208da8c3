"""Every agent keeps to the contract; a new algorithm adds one class here."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidSAC, LiquidTD3
from velora.models.exploration import Explorer
from velora.testing import AgentContract

SMALL: dict[str, Any] = {"warmup_steps": 30, "buffer_size": 100, "device": "cpu"}
SHORT: dict[str, Any] = {"rollout_steps": 24, "sequence_length": 4, "n_epochs": 2, "device": "cpu"}
NORMALISED: dict[str, Any] = {"normalize_obs": True, "normalize_returns": True}


class TestLiquidDDPG(AgentContract):
    def make(self, **own: Any) -> Agent:
        return LiquidDDPG(3, 6, 1, **{**SMALL, **own})


class TestLiquidTD3(AgentContract):
    def make(self, **own: Any) -> Agent:
        return LiquidTD3(3, 6, 1, **{**SMALL, **own})


class TestRecurrentLiquidTD3(AgentContract):
    def make(self, **own: Any) -> Agent:
        recurrent = {"critic": "recurrent", "critic_units": (8, 8), "sequence_length": 3, "burn_in": 2}
        return LiquidTD3(3, 6, 1, **{**SMALL, **recurrent, **own})


class TestNormalisedLiquidTD3(AgentContract):
    def make(self, **own: Any) -> Agent:
        return LiquidTD3(3, 6, 1, **{**SMALL, **NORMALISED, **own})


class TestLiquidSAC(AgentContract):
    def make(self, **own: Any) -> Agent:
        return LiquidSAC(3, 6, 1, **{**SMALL, **own})


class TestRecurrentLiquidSAC(AgentContract):
    def make(self, **own: Any) -> Agent:
        recurrent = {"critic": "recurrent", "critic_units": (8, 8), "sequence_length": 3, "burn_in": 2}
        return LiquidSAC(3, 6, 1, **{**SMALL, **recurrent, **own})


class TestDiscreteLiquidSAC(AgentContract):
    env, other_env = "CartPole-v1", "InvertedPendulum-v5"

    def make(self, **own: Any) -> Agent:
        return LiquidSAC(4, 6, 2, **{"discrete": True, **SMALL, **own})


class TestDiscreteRecurrentLiquidSAC(AgentContract):
    env, other_env = "CartPole-v1", "InvertedPendulum-v5"

    def make(self, **own: Any) -> Agent:
        recurrent = {"critic": "recurrent", "critic_units": (8, 8), "sequence_length": 3, "burn_in": 2}
        return LiquidSAC(4, 6, 2, **{"discrete": True, **SMALL, **recurrent, **own})


class TestLiquidPPO(AgentContract):
    def make(self, **own: Any) -> Agent:
        return LiquidPPO(3, 6, 1, **{**SHORT, **own})


class TestNormalisedLiquidPPO(AgentContract):
    def make(self, **own: Any) -> Agent:
        return LiquidPPO(3, 6, 1, **{**SHORT, **NORMALISED, **own})


class TestLiquidPPOInSeveralEnvironments(AgentContract):
    def make(self, **own: Any) -> Agent:
        return LiquidPPO(3, 6, 1, **{**SHORT, **NORMALISED, "n_envs": 3, "rollout_steps": 8, **own})


class TestDiscreteRecurrentLiquidPPO(AgentContract):
    env, other_env = "CartPole-v1", "InvertedPendulum-v5"

    def make(self, **own: Any) -> Agent:
        recurrent = {"discrete": True, "critic": "recurrent", "critic_units": (8, 8)}
        return LiquidPPO(4, 6, 2, **{**SHORT, **recurrent, **own})


class Beyond(LiquidTD3):
    """Acts beyond the bounds, always the same."""

    def configure_exploration(self) -> Explorer:
        exploration = super().configure_exploration()
        exploration.greedy = lambda out: torch.full_like(out, 7.0)  # type: ignore[method-assign]
        return exploration


class Forgetful(LiquidTD3):
    """Loses its state at every step."""

    def policy(self, obs: Any, hidden: torch.Tensor, dt: Any) -> Any:
        return super().policy(obs, torch.zeros_like(hidden), dt)


class Timid(LiquidTD3):
    """Tries nothing."""

    def configure_exploration(self) -> Explorer:
        exploration = super().configure_exploration()
        exploration.draw = lambda out, generator: out.clip(-1.0, 1.0)  # type: ignore[method-assign]
        return exploration


@pytest.mark.parametrize("broken", [Beyond, Forgetful, Timid])
def test_the_contract_finds_an_agent_that_cannot_act(broken: type[LiquidTD3]) -> None:
    class Broken(AgentContract):
        def make(self, **own: Any) -> Agent:
            return broken(3, 6, 1, **{**SMALL, **own})

    with pytest.raises(AssertionError):
        Broken().test_it_acts_by_what_it_sees_and_remembers()


def test_the_contract_lets_an_agent_be_without_memory() -> None:
    class Memoryless(AgentContract):
        remembers = False

        def make(self, **own: Any) -> Agent:
            return LiquidTD3(3, 6, 1, **{**SMALL, "cell": "memoryless", **own})

    Memoryless().test_it_acts_by_what_it_sees_and_remembers()


class Counting(LiquidTD3, replays=True):
    """Counts in Python, and learns less in every third update: a recording keeps what it saw first."""

    made = 0

    def training_step(self, batch: Any) -> dict[str, torch.Tensor]:
        self.made += 1
        batch = batch if self.made % 3 else dataclasses.replace(batch, reward=batch.terminated)
        return super().training_step(batch)


def test_the_contract_finds_an_update_that_differs_when_it_is_replayed() -> None:
    class Broken(AgentContract):
        def make(self, **own: Any) -> Agent:
            return Counting(3, 6, 1, **{**SMALL, **own})

    with pytest.raises(AssertionError, match="recorded and replayed it differs from step by step"):
        Broken().test_a_recorded_update_is_the_update_step_by_step()
