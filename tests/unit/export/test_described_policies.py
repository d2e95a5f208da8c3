"""The description of a policy, computed in float64, does what ``predict`` does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.export.agents import WITH_TIME, of_variant
from velora.core import zoo
from velora.core.errors import ExportError
from velora.export.describe import describe
from velora.export.policy import Policy
from velora.export.replay import Replay
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidSAC, LiquidTD3
from velora.models.loading import load
from velora.ops.choice import Choice


def distance(agent: Agent, *, steps: int = 40) -> float:
    """Live random observations and times with both, and return the largest difference of actions and states."""
    policy = describe(agent)
    replay, numbers = Replay(policy), np.random.default_rng(0)
    hidden, state, largest = None, np.zeros(policy.n_state), 0.0
    for _ in range(steps):
        obs = numbers.normal(size=policy.n_observations).astype(np.float32)
        dt = float(np.float32(numbers.uniform(0.2, 3.0)))
        action, hidden = agent.predict(obs, hidden, dt=dt)
        expected, state = replay.step(obs, state, dt)
        largest = max(largest, float(np.abs(action - expected).max()), float(np.abs(hidden - state).max()))
    return largest


@pytest.mark.parametrize(
    ("name", "time"),
    [pytest.param(*one, marks=[] if one[1] in ("both", "input") else pytest.mark.slow) for one in WITH_TIME],
)
@pytest.mark.parametrize("kind", [LiquidTD3, LiquidSAC])
def test_every_cell_with_every_time(kind: type[Agent], name: str, time: str) -> None:
    assert distance(of_variant(name, kind, time=time)) < 2e-6


@pytest.mark.parametrize("options", [{"discrete": True}, {"normalize_obs": True}, {}])
def test_ppo(options: dict[str, Any]) -> None:
    agent = LiquidPPO(4, 12, 3, seed=1, **options)
    assert distance(agent) < 2e-6
    assert describe(agent).choice is (Choice.LARGEST if "discrete" in options else Choice.AS_IS)


def test_normalised_observations_are_clipped() -> None:
    agent = LiquidTD3(3, 10, 1, seed=0, normalize_obs=True)
    assert agent.normaliser is not None
    agent.normaliser.count_observations([0], np.random.default_rng(1).normal(5.0, 0.01, (1, 50, 3)))
    assert distance(agent) < 2e-6


@pytest.mark.parametrize("name", zoo.scores())
def test_the_zoo(name: str) -> None:
    assert distance(load(zoo.find(name))) < 2e-5


def described(**settings: Any) -> Policy:
    return describe(LiquidDDPG(3, 10, 1, seed=0, **settings))


def test_time_is_read_only_where_it_acts() -> None:
    assert described().reads_dt
    assert not described(time="none").reads_dt
    assert described(time="input").reads_dt
    assert not described(cell="gru").reads_dt


def test_the_deviations_of_a_stochastic_policy_are_left_out() -> None:
    assert describe(LiquidSAC(3, 10, 2, seed=0)).readout.n_out == 2


def test_what_has_no_description_is_refused() -> None:
    with pytest.raises(ExportError, match="images"):
        describe(LiquidDDPG(3 * 64 * 64, 10, 1, seed=0, image=(3, 64, 64)))
    with pytest.raises(ExportError, match="2 seeds"):
        describe(LiquidDDPG(3, 10, 1, seeds=[0, 1]))
