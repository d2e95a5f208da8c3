"""TD3: its update beside autograd, when the policy is due, and critics with memory."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.shared import KERNELS
from tests.unit.models.experience import count, fill, learn, parameters
from tests.unit.nn.acting import step
from velora import kernels
from velora.buffers import Batch
from velora.core.errors import SettingError
from velora.models import LiquidTD3
from velora.models.recurrence import next_values, policy_values, stored_values
from velora.nn.cells import CELLS
from velora.nn.sequence import unroll_by_steps

LAYERS = [name for name, row in CELLS.items() if not row.is_circuit]
NOISY = {"target_noise": 1.0, "target_noise_clip": 1.5}
RECURRENT = {"critic": "recurrent", "critic_units": (9, 7), "sequence_length": 3, "burn_in": 2}


def make(**settings: Any) -> LiquidTD3:
    return LiquidTD3(3, 8, 2, **{"device": "cpu", "seed": 5, "grad_clip": None, **settings})


def filled(**settings: Any) -> LiquidTD3:
    agent = make(seed=None, seeds=[1, 2, 3], warmup_steps=0, buffer_size=90, **settings)
    g = np.random.default_rng(0)
    for k in range(3):
        fill(agent, k, g, 100 + k)
    agent.configure_training()
    return agent


def a_batch(agent: LiquidTD3) -> Batch:
    return agent.experience.buffer.sample(
        agent.draws.uniform("sampling", 16), agent.experience.updates.window, torch.device("cpu")
    )


@pytest.mark.parametrize("kernel", KERNELS)
def test_an_update_by_hand(kernel: str) -> None:
    """Against the same arithmetic written out with autograd and torch's own Adam."""
    agent = filled(kernel=kernel, gamma=0.9, tau=0.25, reward_scale=0.5, critic_lr=0.01, **NOISY)
    twin, batch = copy.deepcopy(agent.networks), a_batch(agent)
    noise = agent.normal("target noise", 16, 1, 2)[:, :, 0].clone()
    agent.training_step(batch)

    obs, action, next_obs = batch.obs[:, :, 0], batch.action[:, :, 0], batch.next_obs[:, :, 0]
    dt = torch.ones(3, 16)
    hidden = batch.hidden.masked_fill(batch.start, 0.0)
    _, after = step(twin["target_actor"], obs, hidden, dt)
    best, _ = step(twin["target_actor"], next_obs, after, dt)
    best = (best + noise.clamp(-1.5, 1.5)).clamp(-1, 1)
    assert (best.abs() == 1).any()
    assert (noise.abs() > 1.5).any()
    values = [twin[f"target_critic_{i}"](next_obs, best) for i in (1, 2)]
    y = 0.5 * batch.reward[:, :, 0] + 0.9 * (1 - batch.terminated[:, :, 0]) * torch.minimum(*values)
    for name in ("critic_1", "critic_2"):
        adam = torch.optim.Adam(twin[name].parameters(), lr=0.01)
        (twin[name](obs, action) - y.detach()).pow(2).mean(1).sum().backward()
        adam.step()
    adam = torch.optim.Adam(twin["actor"].parameters(), lr=agent.settings.actor_lr)
    pi, _ = step(twin["actor"], obs, hidden, dt)
    (-twin["critic_1"](obs, pi).mean(1)).sum().backward(inputs=list(twin["actor"].parameters()))
    adam.step()
    for net in ("critic_1", "critic_2", "actor"):
        for name, parameter in twin[net].named_parameters():
            torch.testing.assert_close(parameters(agent, net)[name], parameter.detach(), rtol=1e-4, atol=2e-6)
            mixed = 0.75 * dict(twin[f"target_{net}"].named_parameters())[name] + 0.25 * parameter
            torch.testing.assert_close(parameters(agent, f"target_{net}")[name], mixed.detach(), rtol=1e-4, atol=2e-6)


def test_the_policy_and_the_targets_move_at_every_second_update() -> None:
    agent = filled(policy_delay=2)
    for update in range(4):
        before = {net: parameters(agent, net) for net in agent.networks}
        metrics = learn(agent, (0, 1, 2))
        for net, old in before.items():
            moved = any(not torch.equal(old[n], p) for n, p in parameters(agent, net).items())
            assert moved == (net in ("critic_1", "critic_2") or update % 2 == 0), (net, update)
        assert "actor/loss" in metrics  # of the last update that had one


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    "settings",
    [{}, *({**RECURRENT, "cell": cell} for cell in LAYERS)],
    ids=["dense", *LAYERS],
)
@pytest.mark.some(7)
def test_a_replayed_update_is_the_update_bit_for_bit(settings: dict[str, Any], kernel: str) -> None:
    """Also with a seed that has stopped, and one that began to learn later, whose policy is due at other times."""
    agents = [filled(kernel=kernel, **settings) for _ in range(2)]
    stepwise, replayed = agents
    stepwise.record = False
    stepwise.configure_training()
    assert [agent.experience.updates.is_recorded for agent in agents] == [False, True]
    for rows in ((0, 1, 2), (0, 1), (0, 1, 2), (0, 1, 2), (0, 2)):
        results = [learn(agent, rows) for agent in agents]
        for name, value in results[0].items():
            assert torch.equal(value[list(rows)], results[1][name][list(rows)]), name
    assert [p.update for p in replayed.progress] == [5, 4, 4]
    for net in stepwise.networks:
        for name, value in parameters(stepwise, net).items():
            assert torch.equal(value, parameters(replayed, net)[name]), (net, name)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("cell", LAYERS)
def test_a_critic_with_memory_values_what_its_module_does(cell: str, kernel: str) -> None:
    """Step by step with autograd: stored actions, others aside, and the gradient of those."""
    agent = filled(kernel=kernel, cell=cell, **RECURRENT)
    network, module = agent.learner.networks["critic_1"], agent.networks["critic_1"]
    batch = a_batch(agent)
    assert batch.start.any()
    other = torch.tanh(torch.randn(batch.action.shape, generator=torch.Generator().manual_seed(1)))

    def value(state: Tensor) -> Tensor:
        out = module.cell.readout(state)  # type: ignore[union-attr,operator]
        out = torch.relu(module.layers[0](out))  # type: ignore[index, operator]
        result: Tensor = module.layers[1](out)  # type: ignore[index, operator]
        return result.squeeze(2)

    def step(obs: Tensor, action: Tensor, hidden: Tensor, dt: Tensor) -> Tensor:
        x = torch.cat((obs, action), 2).unsqueeze(2)
        return unroll_by_steps(module.cell, x, hidden, dt.unsqueeze(2))[1]  # type: ignore[arg-type]

    free = other.clone().requires_grad_()
    hidden, stored, following, policy = module.cell.initial_state(16), [], [], []  # type: ignore[union-attr,operator]
    for t in range(5):
        hidden = hidden.masked_fill(batch.start[:, :, t, None], 0.0)
        policy.append(value(step(batch.obs[:, :, t], free[:, :, t], hidden, batch.dt[:, :, t])))
        hidden = step(batch.obs[:, :, t], batch.action[:, :, t], hidden, batch.dt[:, :, t])
        stored.append(value(hidden))
        following.append(value(step(batch.next_obs[:, :, t], other[:, :, t], hidden, batch.next_dt[:, :, t])))
    close: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(stored_values(network, batch)[0].squeeze(3), torch.stack(stored, 2).detach(), **close)
    torch.testing.assert_close(next_values(network, batch, other), torch.stack(following, 2).detach(), **close)
    got, pull = policy_values(network, batch, other, agent.learner.backend)
    torch.testing.assert_close(got, torch.stack(policy, 2).detach(), **close)
    weights = torch.randn(got.shape, generator=torch.Generator().manual_seed(2))
    (expected,) = torch.autograd.grad((torch.stack(policy, 2) * weights).sum(), free)
    torch.testing.assert_close(pull(weights), expected, **close)


def test_the_first_steps_of_a_window_have_no_loss() -> None:
    agent = filled(**RECURRENT)
    batch, before = a_batch(agent), parameters(agent, "critic_1")
    loud = Batch(**{n: getattr(batch, n).clone() for n in Batch.__slots__})
    loud.reward[:, :, :2] = 1e6
    other = filled(**RECURRENT)
    metrics, same = agent.training_step(batch), other.training_step(loud)
    assert all(torch.equal(metrics[name], same[name]) for name in metrics)
    assert any(not torch.equal(before[n], p) for n, p in parameters(agent, "critic_1").items())
    assert all(torch.equal(p, parameters(other, "critic_1")[n]) for n, p in parameters(agent, "critic_1").items())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"policy_delay": 0}, "policy_delay: input should be greater than or equal to 1, got 0"),
        ({"target_noise": -0.1}, "target_noise"),
        ({"critic": "recurrent"}, "critic: a recurrent one remembers within a window"),
        ({"critic": "deep"}, "critic: input should be 'dense', 'liquid' or 'recurrent', got 'deep'"),
    ],
)
def test_a_bad_setting_is_one_line_that_names_it(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError) as error:
        make(**settings)
    assert message in str(error.value)


def _learn_alone(agent: LiquidTD3, *, n_updates: int) -> None:
    """Make updates of one of the seeds."""
    for update in range(n_updates):
        agent.experience.begin(150, (1,))
        agent.experience.finish(update, lambda rows, metrics: count(agent, rows))


@pytest.mark.skipif(kernels.extension is None, reason="the native kernel isn't built here")
def test_threads_share_the_update_of_one_seed() -> None:
    """To the bit, whoever takes which part of a call; a batch of 150 has three of them."""
    alone, shared = (filled(kernel="native", sequence_length=2) for _ in range(2))
    shared.threads = 4
    for agent in (alone, shared):
        _learn_alone(agent, n_updates=60)
    for net in alone.networks:
        for name, value in parameters(alone, net).items():
            assert torch.equal(value, parameters(shared, net)[name]), (net, name)
