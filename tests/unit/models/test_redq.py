"""LiquidREDQ: two updates by hand, in every kernel; what is drawn; when the policy learns."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from tests.shared import KERNELS
from tests.unit.models.experience import fill, learn, parameters
from tests.unit.models.test_sac import sample, states_and_next_outputs, value_of
from velora.buffers import Batch
from velora.core.errors import SettingError
from velora.models import Agent, LiquidREDQ
from velora.testing import AgentContract

CRITICS = ("critic_1", "critic_2", "critic_3")
SMALL: dict[str, Any] = {"device": "cpu", "buffer_size": 100, "n_critics": 3, "updates_per_step": 3}


class TestLiquidREDQ(AgentContract):
    def make(self, **own: Any) -> Agent:
        return LiquidREDQ(3, 6, 1, **{**SMALL, "warmup_steps": 40, **own})


class TestRecurrentLiquidREDQ(AgentContract):
    def make(self, **own: Any) -> Agent:
        recurrent = {"critic": "recurrent", "critic_units": (8, 8), "sequence_length": 3, "burn_in": 2}
        return LiquidREDQ(3, 6, 1, **{**SMALL, "warmup_steps": 40, **recurrent, **own})


def filled(**settings: Any) -> LiquidREDQ:
    """Make three seeds with full buffers."""
    agent = LiquidREDQ(3, 8, 2, **{**SMALL, "seeds": [1, 2, 3], "warmup_steps": 0, **settings})
    for k, seed in enumerate(agent.seeds):
        fill(agent, k, np.random.default_rng(seed), 100 + seed)
    agent.configure_training()
    return agent


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("settings", [{}, {"sequence_length": 2, "burn_in": 1, "target_entropy": -0.5}], ids=str)
def test_the_two_updates_of_a_step_by_hand(settings: dict[str, Any], kernel: str) -> None:
    """Against autograd in double precision, and torch's own Adam; each update draws its own two of three critics."""
    agent = filled(
        kernel=kernel, seed=7, seeds=None, gamma=0.9, tau=0.25, reward_scale=0.5, grad_clip=None, actor_lr=0.01,
        critic_lr=0.02, temperature_lr=0.03, initial_temperature=0.3, updates_per_step=2, **settings,
    )  # fmt: skip
    s, length = agent.settings, agent.settings.burn_in + agent.settings.sequence_length
    counted = slice(None), slice(None), slice(s.burn_in, None)
    nets = {name: copy.deepcopy(net).double() for name, net in agent.networks.items()}
    adams = {name: torch.optim.Adam(nets[name].parameters(), lr=lr) for name, lr in agent.learning_rates().items()}
    drawn = []
    for update in range(2):
        agent.progress[0].update = update
        stored = agent.experience.buffer.sample(agent.draws.uniform("sampling", 16), length, torch.device("cpu"))
        batch = {name: getattr(stored, name).clone().double() for name in Batch.__slots__}
        shape = batch["action"].shape[1:]
        following = agent.normal("next actions", *shape).clone().double()
        noise = agent.normal("policy actions", *shape).clone().double()
        chosen = agent.draws.subset("target critics", 2, 3)[0].tolist()
        drawn.append(set(chosen))

        action, log_prob = sample(states_and_next_outputs(nets["actor"], batch)[1], following)
        values = torch.stack([value_of(nets[f"target_{CRITICS[k]}"], batch["next_obs"], action) for k in chosen])
        next_value = values.amin(0) - 0.3 * log_prob
        y = (0.5 * batch["reward"] + 0.9 * (1.0 - batch["terminated"]) * next_value).detach()
        losses = [(value_of(nets[n], batch["obs"], batch["action"]) - y)[counted].square().mean() for n in CRITICS]
        for name, loss in zip(CRITICS, losses, strict=True):
            loss.backward(inputs=list(nets[name].parameters()))
            adams[name].step()
            adams[name].zero_grad()
            for old, new in zip(nets[f"target_{name}"].parameters(), nets[name].parameters(), strict=True):
                old.data.mul_(0.75).add_(0.25 * new.data)
    assert drawn[0] != drawn[1]

    action, log_prob = sample(states_and_next_outputs(nets["actor"], batch)[0], noise)
    mean = torch.stack([value_of(nets[name], batch["obs"], action) for name in CRITICS]).mean(0)
    actor_loss = (0.3 * log_prob - mean)[counted].mean()
    actor_loss.backward(inputs=list(nets["actor"].parameters()))
    adams["actor"].step()
    target = -2.0 if s.target_entropy is None else s.target_entropy
    temperature_loss = -(
        nets["temperature"].get_parameter("value") * (log_prob.detach()[counted].mean() + target)
    ).sum()
    temperature_loss.backward()
    adams["temperature"].step()

    agent.progress[0].update = 0
    metrics = learn(agent, (0,))
    expected = {
        "critics/loss": torch.stack(losses).mean(), "actor/loss": actor_loss, "temperature/loss": temperature_loss,
        "actor/entropy": -log_prob[counted].mean(),
    }  # fmt: skip
    for key, value in expected.items():
        torch.testing.assert_close(metrics[key].double(), value.detach()[None], rtol=1e-3, atol=1e-4)
    for net, module in nets.items():
        for key, value in module.named_parameters():
            ours = parameters(agent, net)[key].double()
            torch.testing.assert_close(ours, value.detach(), rtol=2e-3, atol=1e-4, msg=f"{net}.{key}")


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_replayed_update_is_the_update_bit_for_bit(kernel: str) -> None:
    """On any number of threads, and with a seed that has stopped."""
    stepwise, replayed, threaded = agents = [filled(kernel=kernel, sequence_length=2) for _ in range(3)]
    threaded.threads, stepwise.record = 3, False
    stepwise.configure_training()
    assert [agent.experience.updates.is_recorded for agent in agents] == [False, True, True]
    for step in range(3):
        results = [learn(agent, (0, 2) if step == 2 else (0, 1, 2)) for agent in agents]
        for name, value in results[0].items():
            assert torch.equal(value[[0, 2]], results[1][name][[0, 2]]), name
    for net in stepwise.networks:
        for name, value in parameters(stepwise, net).items():
            assert torch.equal(value, parameters(replayed, net)[name]), (net, name)
            assert torch.equal(value, parameters(threaded, net)[name]), (net, name)


def test_the_policy_learns_once_in_a_step() -> None:
    agent = filled()
    assert [agent.improves_policy(update) for update in range(6)] == [False, False, True, False, False, True]
    once, twice = filled(updates_per_step=1), filled(updates_per_step=2)
    learn(twice)
    learn(once)
    learn(once)
    assert [agent.progress[0].update for agent in (once, twice)] == [2, 2]
    for net, is_equal in (("target_critic_3", False), ("temperature", False)):
        pairs = zip(parameters(once, net).values(), parameters(twice, net).values(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs) == is_equal


def test_its_critics_alone_have_targets_and_start_differently() -> None:
    agent = filled()
    assert set(agent.networks) == {"actor", "temperature", *CRITICS, *(f"target_{name}" for name in CRITICS)}
    first, second, third = (parameters(agent, name)["layers.0.weight"] for name in CRITICS)
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)


def test_a_subset_is_no_larger_than_the_ensemble() -> None:
    with pytest.raises(SettingError, match=r"^n_target_critics: expected at most n_critics=2, got 3$"):
        LiquidREDQ(3, 8, 2, n_critics=2, n_target_critics=3)
    assert LiquidREDQ(3, 8, 2, n_critics=1, n_target_critics=1, device="cpu").critics == ["critic_1"]
