"""Irregular time on its way: into the cell, the buffer, evaluation, hooks and the discount."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from tests.shared import KERNELS, QUIET
from tests.unit.nn.acting import step
from velora.buffers import Batch
from velora.callbacks import Callback, SaveCheckpoints
from velora.core.errors import SettingError
from velora.core.types import Transition
from velora.envs import Environments
from velora.models import LiquidDDPG
from velora.training.evaluation import evaluate, evaluation_seeds


class Uneven(gym.Env[Any, Any]):
    """Last a step of 1 to 4 control steps, which the reset seed decides; observe a number never seen before.

    Args:
        drift: added to every dt in the second episode that begins with a reset seed and in all after it.
    """

    observation_space, action_space = gym.spaces.Box(-10.0, 10.0, (2,)), gym.spaces.Box(-1.0, 1.0, (1,))

    def __init__(self, drift: float = 0.0) -> None:
        self.drift, self.seen = drift, set[int]()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.length, self.extra = 0, self.drift if seed in self.seen else 0.0
        self.seen.add(seed or 0)
        return self.np_random.normal(size=2), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.length += 1
        dt = float(self.np_random.integers(1, 5)) + self.extra
        return self.np_random.normal(size=2), dt, False, self.length == 6, {"dt": dt}


class Collect(Callback):
    """Keep every transition."""

    def __init__(self) -> None:
        self.seen: list[Transition] = []

    def on_env_step(self, trainer: Any, agent: Any, transition: Transition) -> None:
        self.seen.append(transition)


def make(**settings: Any) -> LiquidDDPG:
    return LiquidDDPG(2, 5, 1, **{"device": "cpu", "warmup_steps": 5, "buffer_size": 100, **settings})


def stored(agent: LiquidDDPG, seed_index: int) -> Batch:
    """Return all that one seed has stored, as one window, in order."""
    rows = agent.buffer.state_dict(seed_index)["rows"]
    return agent.experience.buffer._batch(rows[:, None])


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("cell", ["cfc", "ltc"])
def test_the_cell_acts_with_the_time_that_passed_and_the_buffer_keeps_it(cell: str, kernel: str) -> None:
    agent, collect = make(seeds=(3, 8), cell=cell, kernel=kernel, actor_lr=1e-9), Collect()
    agent.train(Uneven, 4, n_episodes=3, callbacks=[collect], **QUIET)
    for k in range(2):
        batch = stored(agent, k)
        next_dt = batch.next_dt[0, 0]
        assert next_dt.tolist() == batch.reward[0, 0].tolist()  # which this environment pays
        assert next_dt.tolist() == [transition.dt[k] for transition in collect.seen]
        assert next_dt.unique().tolist() == [1.0, 2.0, 3.0, 4.0]
        starts = [0, 6, 12]
        assert batch.start[0, 0].nonzero().flatten().tolist() == starts
        since = [1.0 if t in starts else float(next_dt[t - 1]) for t in range(18)]
        assert batch.dt[0, 0].tolist() == since
        alone = agent.seed(k)
        for t in range(17):
            if t + 1 not in starts:
                args = batch.obs[:, :, t], batch.hidden if t == 0 else _hidden(agent, k, t), batch.dt[:, :, t]
                _, after = alone.act(*args)
                torch.testing.assert_close(_hidden(agent, k, t + 1), after, rtol=1e-4, atol=1e-5)


def _hidden(agent: LiquidDDPG, seed_index: int, t: int) -> torch.Tensor:
    rows: torch.Tensor = agent.buffer.state_dict(seed_index)["rows"]
    return rows[:, t : t + 1, -agent.state_size :]


def test_evaluation_acts_with_the_time_that_passed() -> None:
    acted: dict[int, list[float]] = {}

    class Remember(Uneven):
        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            self.own = acted.setdefault(seed or 0, [])
            return super().reset(seed=seed)

        def step(self, action: Any) -> Any:
            self.own.append(float(action[0]))
            return super().step(action)

    agent, seeds = make(seed=1), evaluation_seeds(5)
    returns = evaluate(agent, Environments([Remember() for _ in range(3)], obs_dim=2), seeds)
    for number, seed in enumerate(seeds):
        env, hidden, dt, total = Uneven(), None, 1.0, 0.0
        obs, _ = env.reset(seed=seed)
        for chosen in acted[seed]:
            action, hidden = agent.predict(obs, hidden, dt=dt)
            assert action[0] == pytest.approx(chosen, abs=1e-6)
            obs, reward, _, _, info = env.step(action)
            dt = info["dt"]
            total += reward
        assert returns[0, number] == total


@pytest.mark.parametrize("kernel", KERNELS)
def test_an_update_discounts_by_the_time_of_each_step(kernel: str) -> None:
    agent = make(seed=1, kernel=kernel, gamma=0.5, reward_scale=1.0, critic_lr=1e-9)
    g = torch.Generator().manual_seed(0)
    shape = (1, 4, 1)
    batch = Batch(
        obs=torch.randn(*shape, 2, generator=g), action=torch.zeros(*shape, 1), reward=torch.zeros(shape),
        next_obs=torch.randn(*shape, 2, generator=g), terminated=torch.zeros(shape), truncated=torch.zeros(shape),
        dt=torch.ones(shape), next_dt=torch.tensor([1.0, 2.0, 3.0, 0.5]).view(shape), start=torch.ones(shape).bool(),
        hidden=torch.zeros(1, 4, agent.state_size),
    )  # fmt: skip
    critic, policy = agent.networks["target_critic"], agent.networks["target_actor"]
    with torch.no_grad():
        _, hidden = step(policy, batch.obs[:, :, 0], batch.hidden, batch.dt[:, :, 0])
        action, _ = step(policy, batch.next_obs[:, :, 0], hidden, batch.next_dt[:, :, 0])
        y = torch.tensor([0.5, 0.25, 0.125, 0.5**0.5]) * critic(batch.next_obs[:, :, 0], action)
        expected = (critic(batch.obs[:, :, 0], batch.action[:, :, 0]) - y).square().mean(1)
    torch.testing.assert_close(agent.training_step(batch)["critic/loss"], expected)


GATE, INPUT, BOTH, NONE = "gate", "input", "both", "none"


def started(**settings: Any) -> LiquidDDPG:
    """Make an agent whose inputs all matter."""
    agent = make(seed=6, **settings)
    with torch.no_grad():
        for p in agent.networks["actor"].parameters():
            p.mul_(3.0)
    return agent


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("time", [GATE, INPUT, BOTH, NONE])
def test_the_policy_hears_of_time_as_its_setting_says(time: str, kernel: str) -> None:
    agent = started(time=time, kernel=kernel)
    policy, obs, hidden = agent.actor, torch.tensor([[[0.3, -0.7]]]), 0.1 * torch.ones(1, 1, agent.state_size)
    for dt in (1.0, 4.0):
        read = torch.cat((obs, torch.full((1, 1, 1), np.log(dt))), 2) if time in (INPUT, BOTH) else obs
        told = torch.full((1, 1), dt if time in (GATE, BOTH) else 1.0)
        with torch.no_grad():
            expected, after = step(policy, read, hidden, told)
        action, got = agent.predict(obs[0, 0].numpy(), hidden[0, 0].numpy(), dt=dt)
        np.testing.assert_allclose(action, expected[0, 0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(got, after[0, 0], rtol=1e-4, atol=1e-5)
    one, other = (agent.predict([0.3, -0.7], hidden[0, 0].numpy(), dt=dt)[0] for dt in (1.0, 4.0))
    assert (one == other).all() == (time == NONE)


@pytest.mark.parametrize("time", [INPUT, BOTH])
def test_predict_has_to_be_told_the_time_that_the_agent_reads(time: str) -> None:
    agent = make(time=time)
    _, hidden = agent.predict([0.3, -0.7])
    with pytest.raises(SettingError, match=rf'^predict: this agent has time="{time}"; expected dt[^\n]*$'):
        agent.predict([0.3, -0.7], hidden)
    agent.predict([0.3, -0.7], hidden, dt=2.0)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("time", [INPUT, BOTH, NONE])
@pytest.mark.parametrize("critic", ["dense", "recurrent"])
@pytest.mark.some(6)
def test_agents_that_hear_of_time_otherwise_learn_from_what_they_acted_on(time: str, kernel: str, critic: str) -> None:
    size = {"sequence_length": 3, "buffer_size": 40, "critic_units": (8,)}
    agent = make(seeds=(3, 8), time=time, kernel=kernel, actor_lr=1e-9, critic=critic, **size)
    agent.train(Uneven, 4, n_episodes=3, evaluate_every=3, evaluation_episodes=2, **QUIET)
    assert agent.progress[0].update > 5
    for k in range(2):
        batch = stored(agent, k)
        assert batch.next_dt[0, 0].tolist() == batch.reward[0, 0].tolist()
        assert batch.obs.shape[3] == (2 if time == NONE else 3)
        if time != NONE:
            torch.testing.assert_close(batch.obs[..., 2], batch.dt.log())
            torch.testing.assert_close(batch.next_obs[..., 2], batch.next_dt.log())
        alone = agent.seed(k)
        for t in (0, 1, 2, 7, 8):
            _, after = alone.act(batch.obs[:, :, t], _hidden(agent, k, t), batch.dt[:, :, t])
            torch.testing.assert_close(_hidden(agent, k, t + 1), after, rtol=1e-4, atol=1e-5)


def test_what_is_not_told_of_time_still_discounts_by_it() -> None:
    losses = []
    for next_dt in (1.0, 5.0):
        agent = make(seed=1, time=NONE, gamma=0.5, reward_scale=1.0)
        shape, g = (1, 4, 1), torch.Generator().manual_seed(0)
        batch = Batch(
            obs=torch.randn(*shape, 2, generator=g), action=torch.zeros(*shape, 1), reward=torch.ones(shape),
            next_obs=torch.randn(*shape, 2, generator=g), terminated=torch.zeros(shape), truncated=torch.zeros(shape),
            dt=torch.ones(shape), next_dt=torch.full(shape, next_dt), start=torch.ones(shape).bool(),
            hidden=torch.zeros(1, 4, agent.state_size),
        )  # fmt: skip
        losses.append(float(agent.training_step(batch)["critic/loss"]))
    assert losses[0] != losses[1]


def test_the_setting_is_saved_and_an_unknown_one_is_one_line(tmp_path: Path) -> None:
    agent = started(time=INPUT)
    agent.save(tmp_path / "saved")
    again = LiquidDDPG.load(tmp_path / "saved")
    assert (again.settings.time, again.obs_dim) == (INPUT, 3)
    assert again.predict([0.1, 0.2], dt=3.0)[0] == agent.predict([0.1, 0.2], dt=3.0)[0]
    with pytest.raises(SettingError, match="time: input should be 'gate', 'input', 'both' or 'none', got 'clock'"):
        make(time="clock")


@pytest.mark.parametrize("time", [GATE, INPUT])
def test_a_run_goes_on_with_the_time_since_its_last_observation(tmp_path: Path, time: str) -> None:
    def train(home: Path, n_steps: int, **settings: Any) -> dict[str, np.ndarray[Any, Any]]:
        agent, collect = make(seed=4, time=time), Collect()
        saving = SaveCheckpoints(home, frequency=100)
        agent.train(Uneven, 4, n_steps=n_steps, callbacks=[saving, collect], **QUIET, **settings)
        return {"rows": agent.buffer.state_dict(0)["rows"].numpy().copy()}

    whole = train(tmp_path / "whole", 15)
    train(tmp_path / "cut", 10)  # in the middle of the second episode
    halves = train(tmp_path / "cut", 15, resume=tmp_path / "cut")
    assert np.array_equal(whole["rows"], halves["rows"])


def test_time_that_passes_differently_when_an_episode_is_lived_again_is_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Paid(Uneven):
        def step(self, action: Any) -> Any:
            obs, _, terminated, truncated, info = super().step(action)
            return obs, 0.0, terminated, truncated, info

    def train(env: gym.Env[Any, Any], n_steps: int, **settings: Any) -> None:
        saving = SaveCheckpoints(tmp_path, frequency=100)
        make(seed=4).train(env, 4, n_steps=n_steps, callbacks=[saving], **QUIET, **settings)

    env = Paid(drift=0.25)
    train(env, 10)
    train(env, 15, resume=tmp_path)
    (said,) = [m for m in caplog.messages if m.startswith("resume: seed 4: the unfinished episode")]
    assert "answered differently; the run goes on with a fresh one" in said
