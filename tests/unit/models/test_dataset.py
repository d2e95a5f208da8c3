"""Learning from a fixed data set: a saved buffer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from velora.core.errors import CheckpointError, SettingError, ShapeError
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidSAC, LiquidTD3
from velora.models.experience.dataset import DataSet

AGENTS = [LiquidDDPG, LiquidTD3, LiquidSAC]
LONG: dict[str, Any] = {"sequence_length": 3, "burn_in": 2}


def make(kind: Callable[..., Any], **settings: Any) -> Any:
    given = {"seed": 3, "device": "cpu", "warmup_steps": 50, "buffer_size": 150, **LONG, **settings}
    return kind(3, 6, 1, **given)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkpoint of a random life in Pendulum, whose ring of 150 has wrapped."""
    agent = make(LiquidTD3, warmup_steps=10_000, seed=9)
    agent.train("Pendulum-v1", 8, n_steps=210, progress_bar=False, summary=False)
    return Path(agent.save(tmp_path_factory.mktemp("data") / "ep1", buffer=True))


def assert_same(agent: Agent, other: Agent) -> None:
    for net, module in agent.networks.items():
        same = other.networks[net].state_dict()
        assert all(torch.equal(value, same[name]) for name, value in module.state_dict().items()), net


@pytest.mark.parametrize("kind", AGENTS)
def test_it_teaches_what_replaying_the_same_windows_would(kind: type[Agent], saved: Path) -> None:
    agent, other = make(kind), make(kind)
    before = agent.predict([0.5, 0.5, 1.0])[0]
    metrics = DataSet.load(agent, saved).learn(16, n_updates=20)
    assert agent.progress[0].update == 20
    assert agent.progress[0].step == 0
    stored, _ = LiquidTD3.load(saved, buffer=True).buffer, other.optimizers
    for update in range(20):
        batch = stored.sample(other.draws.uniform("sampling", 16), 5, torch.device("cpu"))  # type: ignore[attr-defined]
        other.learns_policy = other.improves_policy(update)
        expected = other.training_step(batch)
        other.progress[0].update += 1
    assert all(torch.equal(metrics[name], value) for name, value in expected.items())
    assert_same(agent, other)
    assert not np.array_equal(agent.predict([0.5, 0.5, 1.0])[0], before)


def test_seeds_learn_from_it_side_by_side_and_each_as_alone(saved: Path) -> None:
    many, alone = make(LiquidDDPG, seed=None, seeds=[3, 4]), make(LiquidDDPG, seed=4)
    for agent in (many, alone):
        DataSet.load(agent, saved).learn(16, n_updates=10)
    taken = many.seed(1)
    for net, module in alone.networks.items():
        for name, value in module.named_parameters():
            torch.testing.assert_close(taken.networks[net].get_parameter(name), value, atol=1e-5, rtol=1e-4)


def test_it_goes_on_where_it_stopped(saved: Path) -> None:
    whole, halves = make(LiquidTD3), make(LiquidTD3)
    DataSet.load(whole, saved).learn(8, n_updates=7)
    data = DataSet.load(halves, saved)
    data.learn(8, n_updates=3)
    data.learn(8, n_updates=4)
    assert_same(whole, halves)


def test_an_agent_that_trains_on_keeps_its_own_buffer(saved: Path) -> None:
    """Its programs are of the set as long as that is learned from, and of its own experience in an environment."""
    agent, same = make(LiquidDDPG), make(LiquidDDPG)
    for each, record in ((agent, True), (same, False)):
        each.record = record
        DataSet.load(each, saved).learn(8, n_updates=3)
        each.train("Pendulum-v1", 8, n_steps=70, progress_bar=False, summary=False)
        assert each.buffer.size(0) == 70
    assert_same(agent, same)


def test_an_agent_that_normalises_takes_its_statistics_from_it(saved: Path) -> None:
    agent = make(LiquidDDPG, normalize_obs=True, normalize_returns=True)
    data = DataSet.load(agent, saved)
    batch = data.buffer.sample(np.zeros((1, 1)), 150, torch.device("cpu"))
    statistics = agent.normaliser.tensors()
    np.testing.assert_allclose(statistics["obs_mean"][0], batch.obs[0, 0].double().mean(0), rtol=1e-6)
    assert statistics["obs_count"].item() == statistics["return_count"].item() == 150
    DataSet.load(agent, saved)
    assert statistics["obs_count"].item() == 150
    data.learn(8, n_updates=2)


def test_what_does_not_fit_is_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"^[^\n]*rows[^\n]*$"):
        DataSet.load(LiquidDDPG(4, 6, 1, device="cpu"), saved)
    agent = make(LiquidDDPG)
    with pytest.raises(ShapeError, match=r"^dataset: expected a buffer of 2 seeds and rows of \d+ numbers, got 1 and"):
        DataSet(make(LiquidDDPG, seed=None, seeds=[1, 2]), DataSet.load(agent, saved).buffer)
    with pytest.raises(SettingError, match=r"^dataset: expected an agent that replays, got a LiquidPPO; "):
        DataSet.load(LiquidPPO(3, 6, 1, device="cpu"), saved)
    with pytest.raises(CheckpointError, match="saved without a replay buffer"):
        DataSet.load(agent, agent.save(tmp_path / "ep1"))
    with pytest.raises(SettingError, match=r"^n_updates: expected a whole number of at least 1, got 0$"):
        DataSet.load(agent, saved).learn(8, n_updates=0)
    with pytest.raises(SettingError, match=r"^dataset: holds 150 transitions, expected a window of 162 or more$"):
        DataSet.load(make(LiquidDDPG, burn_in=159, buffer_size=200), saved).learn(8, n_updates=1)
