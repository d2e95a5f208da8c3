"""Controllers: an agent acts as ``predict`` does, and the policy in C as both."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from velora.core.errors import NonFiniteError, PlantError, SettingError
from velora.drive import AgentController, CompiledController, CompiledPolicy, Reading
from velora.drive.controller import sizes_of
from velora.export.c.target import write_c
from velora.export.describe import describe
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidSAC

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler: apt-get install gcc")


def ddpg() -> Agent:
    return adapted(LiquidDDPG(3, 12, 1, seed=1), "Pendulum-v1")


def told_as_input() -> Agent:
    return adapted(LiquidSAC(3, 12, 1, seed=2, time="input", cell="gru"), "Pendulum-v1")


def discrete() -> Agent:
    return adapted(LiquidPPO(4, 12, 2, seed=3, discrete=True), "CartPole-v1")


def normalised() -> Agent:
    agent = adapted(LiquidDDPG(3, 12, 1, seed=4, normalize_obs=True), "Pendulum-v1")
    assert agent.normaliser is not None
    agent.normaliser.count_observations((0,), np.random.default_rng(0).normal(3.0, 2.0, (1, 50, 3)).astype(np.float32))
    return agent


def adapted(agent: Agent, env_id: str) -> Agent:
    env = gym.make(env_id)
    agent.adapt(env)
    env.close()
    return agent


def readings(agent: Agent, n: int) -> list[tuple[Reading, float]]:
    draw = np.random.default_rng(7)
    size = agent.settings.state_dim
    return [(Reading(draw.normal(0, 1, size).astype(np.float32), k), float(draw.uniform(0.2, 3.0))) for k in range(n)]


@pytest.mark.parametrize("make", [ddpg, told_as_input, discrete, normalised])
def test_an_agent_drives_as_it_predicts(make: Callable[[], Agent]) -> None:
    agent = make()
    controller = AgentController(agent)
    for _ in range(2):  # the second time after a state that has to be forgotten
        controller.begin()
        hidden: Any = None
        for reading, dt in readings(agent, 20):
            expected, hidden = agent.predict(reading.obs, hidden, dt=dt)
            action = controller.act(reading, dt)
            assert action.shape == (1,)
            assert action == pytest.approx(np.atleast_1d(expected), abs=1e-6)


@needs_compiler
@pytest.mark.parametrize("make", [told_as_input, discrete])
def test_the_policy_in_c_drives_as_the_agent_does(make: Callable[[], Agent], tmp_path: Path) -> None:
    agent = make()
    write_c(describe(agent), tmp_path)
    controller, expected = CompiledController(CompiledPolicy(tmp_path, sizes_of(agent))), AgentController(agent)
    for _ in range(2):
        controller.begin()
        expected.begin()
        for reading, dt in readings(agent, 20):
            action = controller.act(reading, dt)
            assert action.dtype == (np.int64 if agent.discrete else np.float32)
            assert action == pytest.approx(expected.act(reading, dt), abs=2e-5)
    assert 0.0 < controller.policy.step_s() < 0.01


@needs_compiler
def test_what_is_no_policy_in_c(tmp_path: Path) -> None:
    agent = ddpg()
    with pytest.raises(SettingError, match=r"has no policy\.h; write it with velora export <checkpoint> to=c"):
        CompiledPolicy(tmp_path, sizes_of(agent))
    write_c(describe(agent), tmp_path)
    with pytest.raises(SettingError, match="plant: there is no file nowhere"):
        CompiledPolicy(tmp_path, sizes_of(agent), plant=Path("nowhere.c"))
    with pytest.raises(
        PlantError, match="takes 3 observations and gives 1 actions; the checkpoint takes 4 and gives 1"
    ):
        CompiledPolicy(tmp_path, sizes_of(discrete()))
    (tmp_path / "policy.c").write_text("this is no C\n")
    with pytest.raises(SettingError, match=r"can't compile it: .*error"):
        CompiledPolicy(tmp_path, sizes_of(agent))


def test_several_seeds_and_numbers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(SettingError, match="holds 2 seeds"):
        AgentController(LiquidDDPG(3, 12, 1, seeds=[0, 1]))
    with pytest.raises(NonFiniteError, match="plant: gave the observation"):
        AgentController(ddpg()).act(Reading(np.array([0.0, np.inf, 0.0], np.float32), 0), 1.0)
