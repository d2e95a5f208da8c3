"""Every agent keeps to the contract; a new algorithm adds one class here."""

from __future__ import annotations

from typing import Any

from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidSAC, LiquidTD3
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
