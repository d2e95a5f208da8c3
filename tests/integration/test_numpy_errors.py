"""What NumPy rounds to zero is no error, however it is told to treat such things; what isn't finite is told of."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from tests.shared import QUIET
from velora.core.errors import NonFiniteError
from velora.core.types import Evaluation
from velora.envs.answers import is_finite
from velora.envs.wrappers import NoisyObservation, PreviousActionReward
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidSAC, LiquidTD3
from velora.ops.policies import draw_categorical, draw_gaussian
from velora.ops.returns import generalised_advantage

FAINT = np.array([1e-320, 1e-42, 1e-30])
TINY, NOTHING = np.full((1, 2), 1e-38, np.float32), np.zeros((1, 2), np.float32)
OWN: dict[str, Any] = {"seed": 3, "device": "cpu", "normalize_obs": True, "normalize_returns": True}
AGENTS: dict[str, Callable[[], Agent]] = {
    "ddpg": lambda: LiquidDDPG(3, 4, 1, warmup_steps=10, **OWN),
    "td3": lambda: LiquidTD3(3, 4, 1, warmup_steps=10, **OWN),
    "sac": lambda: LiquidSAC(3, 4, 1, warmup_steps=10, **OWN),
    "ppo": lambda: LiquidPPO(3, 4, 1, rollout_steps=16, n_epochs=2, **OWN),
}


class Faint(gym.Env[Any, Any]):
    """Show and reward numbers that float32 has to round, as a simulator at rest does."""

    observation_space: Any = Box(-np.inf, np.inf, (3,), np.float64)
    action_space = Box(-1.0, 1.0, (1,))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.left = 15
        return self.shown(), {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self.left -= 1
        return self.shown(), np.float64(1e-42), False, self.left == 0, {}

    def shown(self) -> Any:
        return FAINT * self.left


class Blinding(Faint):
    """Show what float32 has no number for."""

    def shown(self) -> Any:
        return np.full(3, 1e39)


class Blank(Faint):
    """Show zeros, of float32."""

    observation_space = Box(-np.inf, np.inf, (3,), np.float32)

    def shown(self) -> Any:
        return np.zeros(3, np.float32)


@pytest.mark.parametrize("name", AGENTS)
def test_numbers_that_vanish_are_no_errors(name: str) -> None:
    def answers() -> list[Any]:
        agent = AGENTS[name]()
        assert agent.train(lambda: Faint(), 8, n_steps=40, **QUIET).status == "finished"
        return [part.tolist() for part in agent.predict(FAINT)]

    expected = answers()
    with np.errstate(all="raise"):
        assert answers() == expected


@pytest.mark.parametrize("how", ["warn", "raise"])
def test_an_infinite_observation_is_told_of(how: Any) -> None:
    with np.errstate(all=how), warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(NonFiniteError, match="gave the observation"):
            AGENTS["ddpg"]().train(lambda: Blinding(), 4, n_steps=5, **QUIET)


def _shown_by(env: gym.Env[Any, Any]) -> Any:
    env.reset(seed=0)
    return env.step(np.zeros(1, np.float32))[0]


@pytest.mark.parametrize(
    "compute",
    [
        lambda: draw_categorical(NOTHING - np.array([0.0, 100.0], np.float32), NOTHING[:, :1])[1],
        lambda: draw_gaussian(NOTHING, NOTHING - np.float32(100.0), TINY)[0],
        lambda: generalised_advantage(*(torch.from_numpy(x[None]) for x in (TINY, NOTHING, TINY)), decay=0.5).numpy(),
        lambda: Evaluation(0, 0, 0, (np.inf, -np.inf)).mean,
        lambda: _shown_by(NoisyObservation(Blank(), 1e-42)),
        lambda: _shown_by(PreviousActionReward(Blank())),
    ],
    ids=["choice", "gaussian", "advantage", "evaluation", "noisy", "previous"],
)
def test_what_is_computed_raises_nothing(compute: Callable[[], Any]) -> None:
    with np.errstate(all="ignore"):
        expected = compute()
    with np.errstate(all="raise"):
        assert np.array_equal(compute(), expected, equal_nan=True)


@pytest.mark.parametrize("n", [2, 200])
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_few_numbers_and_many_are_seen_to_be_finite(n: int, odd: float) -> None:
    numbers = np.full(n, 3e38, np.float32)
    with np.errstate(all="raise"):
        assert is_finite(numbers)
        numbers[-1] = odd
        assert not is_finite(numbers)
        numbers[0] = -odd
        assert not is_finite(numbers)
