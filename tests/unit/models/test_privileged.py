"""Critics that see more than the policy: who reads what, what learns from it, saving, resuming, and what is refused."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor

from tests.shared import KERNELS, QUIET, digests
from tests.unit.models.experience import parameters
from velora.buffers import Batch, Rollout
from velora.callbacks import Callback, SaveCheckpoints
from velora.checkpoint import Checkpoint
from velora.core.errors import CheckpointError, SettingError, SpaceError
from velora.envs.wrappers import DropObservation, PrivilegedState
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidREDQ, LiquidSAC, LiquidTD3
from velora.models.experience.dataset import DataSet
from velora.models.recurrence import choice_values, next_values, policy_values, stored_values
from velora.testing import AgentContract

RECURRENT: dict[str, Any] = {"critic": "recurrent", "critic_units": (8, 8), "sequence_length": 3, "burn_in": 2}
SMALL: dict[str, Any] = {"warmup_steps": 20, "buffer_size": 100, "critic_units": (8, 8), "device": "cpu"}
SHORT: dict[str, Any] = {"rollout_steps": 24, "sequence_length": 4, "n_epochs": 1, "critic_units": (8,)}
HIDDEN = "velora-tests/PendulumPositions-v0"


def positions(**_: Any) -> gym.Env[Any, Any]:
    """Show positions, and give the velocity too as the state."""
    return DropObservation(PrivilegedState(gym.make("Pendulum-v1")), "velocity")


if HIDDEN not in gym.registry:
    gym.register(HIDDEN, positions)


def make(kind: Callable[..., Any] = LiquidTD3, **own: Any) -> Any:
    small = {**SHORT, "device": "cpu"} if kind is LiquidPPO else SMALL
    seeds = {} if "seeds" in own else {"seed": 1}
    return kind(2, 6, 1, **{**small, "privileged": 3, **seeds, **own})


def trained(kind: Callable[..., Any] = LiquidTD3, n_steps: int = 60, env: Any = positions, **own: Any) -> Any:
    agent = make(kind, **{name: value for name, value in own.items() if name != "callbacks"})
    agent.train(env, 8, n_steps=n_steps, callbacks=own.get("callbacks", []), **QUIET)
    return agent


def a_batch(agent: Agent, size: int = 16) -> Batch:
    uniform = agent.draws.uniform("sampling", size)
    made: Batch = agent.experience.buffer.sample(uniform, agent.experience.updates.window, agent.device)  # type: ignore[attr-defined]
    return made


@pytest.mark.slow
class TestPrivilegedLiquidTD3(AgentContract):
    """Several seeds, recorded updates, saves and a run in two halves, to the bit."""

    env, n_steps = HIDDEN, 40

    def make(self, **own: Any) -> Agent:
        return LiquidTD3(2, 6, 1, **{**SMALL, **RECURRENT, "privileged": 3, "normalize_obs": True, **own})


# --------------------------------------------------------------------------------------------------- who reads what


@pytest.mark.parametrize("kernel", KERNELS)
def test_critics_read_the_observation_and_the_state_of_the_same_moment(kernel: str) -> None:
    agent = trained(kernel=kernel)
    batch = a_batch(agent)
    angle, state = batch.obs, batch.critic_obs[..., 2:]
    assert batch.critic_obs.shape[3] == 5
    assert torch.equal(state[..., :2], angle)  # a pendulum's state begins with what is seen of it
    assert torch.equal(batch.next_critic_obs[..., 2:4], batch.next_obs)
    goes_on = (batch.terminated + batch.truncated)[:, :, 0] == 0.0
    turned = torch.atan2(batch.next_obs[..., 1], batch.next_obs[..., 0]) - torch.atan2(angle[..., 1], angle[..., 0])
    turned = (turned + torch.pi) % (2 * torch.pi) - torch.pi
    speed = batch.next_critic_obs[..., 4]
    assert torch.allclose(turned[:, :, 0][goes_on], 0.05 * speed[:, :, 0][goes_on], atol=1e-4)

    critic = agent.networks["critic_1"]
    q, _ = stored_values(agent.learner.networks["critic_1"], batch)
    by_hand = critic(torch.cat((angle, state), 3)[:, :, 0], batch.action[:, :, 0])
    assert torch.allclose(q[:, :, 0, 0], by_hand, atol=1e-5)


def test_the_policy_has_no_place_for_the_state() -> None:
    """Its inputs, its recurrent state and what it answers are those of an agent whose critics see no more than it."""
    informed, other = make(), make(privileged=0)
    assert informed.state_size == other.state_size
    for name, weight in parameters(other, "actor").items():
        assert torch.equal(weight, parameters(informed, "actor")[name])
    obs = np.array([0.3, -0.2], np.float32)
    assert np.array_equal(informed.predict(obs)[0], other.predict(obs)[0])
    assert {
        n for n, p in informed.networks.items() if p.state_dict().keys() != other.networks[n].state_dict().keys()
    } == set()
    assert informed.networks["critic_1"].sizes[0] == other.networks["critic_1"].sizes[0] + 3


@pytest.mark.parametrize("critic", [{}, {**RECURRENT, "critic_units": (8,)}, {"critic": "liquid"}])
def test_the_state_moves_the_policy_through_the_critic_alone(critic: dict[str, Any]) -> None:
    """A critic that ignores the state teaches the same policy whatever the state is; one that reads it doesn't."""
    agent = trained(policy_delay=1, **critic)
    batch = a_batch(agent)
    other = dataclasses.replace(
        batch, critic_obs=batch.critic_obs.clone(), next_critic_obs=batch.next_critic_obs.clone()
    )
    other.critic_obs[..., 2:] += 1.5
    other.next_critic_obs[..., 2:] -= 0.5
    run, math = agent.learner.networks, agent.learner.backend
    pi = run["actor"].run(batch.obs, hidden=batch.hidden, dt=batch.dt, resets=batch.start).out
    again = run["actor"].run(other.obs, hidden=other.hidden, dt=other.dt, resets=other.start).out
    assert torch.equal(pi, again)

    def pulled(which: Batch) -> tuple[Tensor, Tensor, Tensor]:
        value, pull = policy_values(run["critic_1"], which, pi, math)
        return value.clone(), pull(torch.ones_like(value)).clone(), next_values(run["critic_1"], which, pi).clone()

    assert not any(torch.equal(a, b) for a, b in zip(pulled(batch), pulled(other), strict=True))
    weights = [p for p in agent.networks["critic_1"].parameters() if p.shape[-1] >= 6]
    with torch.no_grad():
        for weight in weights[: 1 if not critic else None]:
            weight[..., 2:5] = 0.0  # what it makes of the state
    agent.learner.held.take_over()
    for a, b in zip(pulled(batch), pulled(other), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_gradients_of_the_state_stay_in_the_critics() -> None:
    """The weights that read it are learned; no parameter of the policy is more than an ordinary one's."""
    agent = trained(n_steps=40)
    batch = a_batch(agent)
    before = parameters(agent, "critic_1")["layers.0.weight"]
    agent.learns_policy = True
    agent.training_step(batch)
    moved = parameters(agent, "critic_1")["layers.0.weight"] - before
    reads_state = moved.flatten(0, 1) if moved.shape[-1] == 6 else moved.transpose(1, 2).flatten(0, 1)
    assert bool((reads_state[:, 2:5] != 0.0).any())
    assert sum(p.numel() for p in agent.networks["actor"].parameters()) == sum(
        p.numel() for p in make(privileged=0).networks["actor"].parameters()
    )


# --------------------------------------------------------------------------------------------------------- the agents


@pytest.mark.parametrize(
    ("kind", "own"),
    [
        (LiquidDDPG, {}),
        (LiquidTD3, {"critic": "liquid"}),
        (LiquidSAC, {"normalize_obs": True, "normalize_returns": True}),
        (LiquidREDQ, {"n_critics": 3, "updates_per_step": 2}),
        (LiquidPPO, {"n_envs": 2, "rollout_steps": 12, "normalize_obs": True}),
        (LiquidPPO, {"critic": "recurrent", "critic_units": (6,)}),
    ],
)
def test_every_agent_learns_with_it_and_needs_none_of_it_to_act(kind: Callable[..., Any], own: dict[str, Any]) -> None:
    agent = trained(kind, **own)
    assert agent.progress[0].update > 0
    bare = DropObservation(gym.make("Pendulum-v1"), "velocity")
    obs, info = bare.reset(seed=0)
    assert "state" not in info
    action, _ = agent.predict(obs)
    assert bare.action_space.contains(action)


def test_a_discrete_actor_critic_learns_with_it() -> None:
    def hidden() -> gym.Env[Any, Any]:
        return DropObservation(PrivilegedState(gym.make("CartPole-v1")), "velocity")

    agent = LiquidSAC(2, 6, 2, discrete=True, privileged=4, seed=1, **SMALL)
    agent.train(hidden, 8, n_steps=30, **QUIET)
    batch = a_batch(agent)
    assert torch.equal(batch.critic_obs[..., [2, 4]], batch.obs)
    assert choice_values(agent.learner.networks["critic_1"], batch).shape[3] == 2


def test_a_rollout_shows_critics_more_and_is_cut_alike() -> None:
    kept: list[Rollout] = []

    class Keep(Callback):
        def on_train_batch_start(self, trainer: Any, agent: Any, batch: Rollout, batch_idx: int) -> None:
            kept.append(copy.deepcopy(batch))

    agent = trained(LiquidPPO, n_envs=2, rollout_steps=12, callbacks=[Keep()], normalize_obs=True)
    rollout = kept[-1]
    assert rollout.critic_obs.shape == (1, 2, 12, 5)
    assert torch.equal(rollout.critic_obs[..., :2], rollout.obs)
    # One place normalises both, so that what is seen twice is the same number twice.
    assert torch.allclose(rollout.critic_obs[..., 2:4], rollout.obs, atol=1e-6)
    index = torch.tensor([[5, 0]])
    cut = rollout.windows(4).take(index)
    assert torch.equal(cut.critic_obs[0, 0], rollout.critic_obs[0, 1, 8:12])
    assert torch.equal(cut.next_critic_obs[0, 1], rollout.next_critic_obs[0, 0, 0:4])
    plain = trained(LiquidPPO, env=lambda: DropObservation(gym.make("Pendulum-v1"), "velocity"), privileged=0)
    read = plain.experience.buffer.read(plain.device)
    assert read.critic_obs is read.obs  # nothing is kept twice
    assert read.windows(4).critic_obs.shape == read.windows(4).obs.shape
    assert agent.progress[0].update == 2


def test_images_go_to_the_policy_and_the_state_to_the_critics() -> None:
    class Seen(gym.Env[Any, Any]):
        """A camera, and a simulator that knows where things are."""

        observation_space = gym.spaces.Box(0, 255, (8, 8, 1), np.uint8)
        action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)

        def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
            super().reset(seed=seed)
            self.at = self.np_random.uniform(-1.0, 1.0)
            return self._seen()

        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            self.at += 0.1 * float(action[0])
            return self._seen()[0], -abs(self.at), False, False, self._seen()[1]

        def _seen(self) -> tuple[Any, dict[str, Any]]:
            picture = np.zeros((8, 8, 1), np.uint8)
            picture[int(np.clip(4 + 4 * self.at, 0, 7))] = 200
            return picture, {"state": [self.at, 1.0]}

    agent = LiquidTD3(
        64, 6, 1, image=(8, 8, 1), privileged=2, seed=1, **{**SMALL, "warmup_steps": 5, "buffer_size": 30}
    )
    agent.train(Seen, 4, n_steps=12, **QUIET)
    assert agent.progress[0].update > 0
    batch = a_batch(agent, 4)
    assert batch.obs.dtype == torch.uint8
    assert batch.critic_obs.shape[3] == 2
    assert torch.equal(batch.critic_obs[..., 1], torch.ones_like(batch.reward))
    assert type(agent.networks["actor"]).__name__ == "ImageNetwork"
    assert type(agent.networks["critic_1"]).__name__ == "QNetwork"


# ---------------------------------------------------------------------------------------- normalising, saving, resuming


def test_the_state_is_normalised_by_statistics_of_its_own(tmp_path: Path) -> None:
    agent = trained(normalize_obs=True)
    lived = agent.experience.buffer.state_dict(0)["rows"][0, :, 2:5].double()
    tensors = agent.normaliser.tensors()
    assert tensors["privileged_count"].item() == tensors["obs_count"].item() == 60
    assert torch.allclose(tensors["privileged_mean"][0], lived.mean(0), atol=1e-6)
    assert torch.allclose(tensors["privileged_variance"][0], lived.var(0, correction=0), atol=1e-5)
    batch = a_batch(agent)
    raw = batch.critic_obs[..., 2:].double().clone()
    agent.normaliser.fit(batch)
    by_hand = (raw - tensors["privileged_mean"]) / (tensors["privileged_variance"] + 1e-8).sqrt()
    assert torch.allclose(batch.critic_obs[..., 2:].double(), by_hand.clamp(-10, 10), atol=1e-4)
    assert torch.equal(batch.critic_obs[..., :2], batch.obs)
    agent.save(tmp_path / "ep1")
    loaded: Any = LiquidTD3.load(tmp_path / "ep1")
    assert torch.equal(loaded.normaliser.tensors()["privileged_mean"], tensors["privileged_mean"])


@pytest.mark.parametrize("kind", [LiquidTD3, LiquidPPO])
def test_a_resume_in_the_middle_of_an_episode_knows_the_state(kind: Callable[..., Any], tmp_path: Path) -> None:
    whole = make(kind)
    whole.train(positions, 8, n_steps=60, callbacks=[SaveCheckpoints(tmp_path / "whole")], **QUIET)
    half = make(kind)
    half.train(positions, 8, n_steps=35, callbacks=[SaveCheckpoints(tmp_path / "half")], **QUIET)
    rest, saver = make(kind), SaveCheckpoints(tmp_path / "half")
    rest.train(positions, 8, n_steps=60, callbacks=[saver], resume=tmp_path / "half", **QUIET)
    assert digests(tmp_path / "half" / "final") == digests(tmp_path / "whole" / "final")


@pytest.mark.slow
def test_workers_send_the_state_where_it_is_asked_for(tmp_path: Path) -> None:
    ran = {}
    for name, workers in (("here", 0), ("there", 1)):
        agent = make(seeds=[1, 2])
        agent.train(positions, 8, n_steps=30, workers=workers, **QUIET)
        ran[name] = parameters(agent, "critic_1"), parameters(agent, "actor")
    for here, there in zip(*ran.values(), strict=True):
        assert all(torch.equal(value, there[name]) for name, value in here.items())


def test_a_checkpoint_says_how_much_its_critics_see(tmp_path: Path) -> None:
    agent = trained()
    agent.save(tmp_path / "ep1", buffer=True)
    assert Checkpoint.open(tmp_path / "ep1").metadata.settings["privileged"] == 3
    loaded = LiquidTD3.load(tmp_path / "ep1", buffer=True)
    assert "critics see  3 numbers" in repr(loaded)
    taught = DataSet.load(make(), tmp_path / "ep1").learn(4, n_updates=2)
    assert all(bool(value.isfinite().all()) for value in taught.values())
    with pytest.raises(CheckpointError, match="of an agent with privileged=3, got one with privileged=0"):
        make(privileged=0).restore(Checkpoint.open(tmp_path / "ep1"), buffer=False)
    plain = make(privileged=0)
    plain.save(tmp_path / "plain")
    with pytest.raises(CheckpointError, match="of an agent with privileged=0, got one with privileged=3"):
        make().restore(Checkpoint.open(tmp_path / "plain"), buffer=False)


def test_a_copy_and_a_seed_of_many_see_as_much() -> None:
    agent = trained(seeds=[1, 2], normalize_obs=True)
    for other in (copy.deepcopy(agent).seed(1), agent.seed(1)):
        assert other.privileged == 3
        assert torch.equal(
            other.normaliser.tensors()["privileged_mean"], agent.normaliser.tensors()["privileged_mean"][1:]
        )


# ------------------------------------------------------------------------------------------------------------- refused


def test_an_environment_without_a_state_is_refused_before_a_step() -> None:
    agent = make()
    with pytest.raises(SpaceError, match=r'gave no info\["state"\] at reset, and the agent has privileged=3'):
        agent.train(lambda: DropObservation(gym.make("Pendulum-v1"), "velocity"), 8, n_steps=20, **QUIET)
    assert agent.progress[0].step == 0


@pytest.mark.parametrize("value", [-1, 1.5, True, "state", 1_000_001])
def test_what_is_no_number_of_numbers_is_refused(value: Any) -> None:
    with pytest.raises(SettingError, match="privileged"):
        make(privileged=value)
