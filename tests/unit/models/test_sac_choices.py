"""LiquidSAC of discrete actions: one update by hand, in every kernel; how it acts, and what it refuses."""

from __future__ import annotations

import copy
import itertools
import math
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical

from tests.shared import KERNELS, QUIET
from tests.unit.models.experience import learn, parameters
from velora.buffers import Batch
from velora.core.errors import NonFiniteError, SettingError, SpaceError
from velora.models import LiquidDDPG, LiquidSAC
from velora.models.stochastic_exploration import ChoiceSampling

CRITICS = ("critic_1", "critic_2")
RECURRENT: dict[str, Any] = {
    "critic": "recurrent", "critic_units": (8, 6), "cell": "gru", "sequence_length": 3, "burn_in": 1
}  # fmt: skip


def make(**settings: Any) -> LiquidSAC:
    return LiquidSAC(3, 8, 4, **{"discrete": True, "device": "cpu", "seed": 5, **settings})


def filled(**settings: Any) -> LiquidSAC:
    """Make three seeds with full buffers."""
    agent = make(**{"seed": None, "seeds": [1, 2, 3], "warmup_steps": 0, "buffer_size": 90, **settings})
    for k, seed in enumerate(agent.seeds):
        g = np.random.default_rng(seed)
        for i in range(100 + seed):
            agent.buffer.add(
                k, obs=g.normal(size=3), action=g.integers(4), reward=g.normal(), next_obs=g.normal(size=3),
                terminated=i % 9 == 8, truncated=False, dt=1.0, next_dt=1.0 + i % 2, start=i % 9 == 0,
                hidden=g.normal(size=agent.state_size) * 0.1,
            )  # fmt: skip
    agent.configure_training()
    return agent


def stepped(network: Any, batch: dict[str, Tensor], hidden: Tensor | None) -> tuple[Tensor, Tensor]:
    """Go along a window one by one: what comes out at every ``obs``, and aside at every ``next_obs``."""
    here, aside = [], []
    for t in range(batch["obs"].shape[2]):
        now = slice(t, t + 1)
        if hidden is not None:
            hidden = hidden * (1.0 - batch["start"][:, :, t, None])
        out, _, hidden = network.unroll((batch["obs"][:, :, now],), hidden, batch["dt"][:, :, now], None)
        there, _, _ = network.unroll((batch["next_obs"][:, :, now],), hidden, batch["next_dt"][:, :, now], None)
        here.append(out)
        aside.append(there)
    return torch.cat(here, 2), torch.cat(aside, 2)


def step(module: torch.nn.Module, loss: Tensor, lr: float) -> None:
    adam = torch.optim.Adam(module.parameters(), lr=lr)
    loss.backward(inputs=list(module.parameters()))
    adam.step()


WAYS: list[dict[str, Any]] = [
    {}, {"critic": "liquid"}, {"sequence_length": 2, "burn_in": 1, "target_entropy": 0.5}, RECURRENT
]  # fmt: skip
IMAGES: dict[str, Any] = {"image": (1, 3), "image_range": (-4.0, 4.0), "sequence_length": 2, "burn_in": 1}


@pytest.mark.parametrize(("settings", "kernel"), [*itertools.product(WAYS, KERNELS), (IMAGES, "torch")], ids=str)
def test_one_update_by_hand(settings: dict[str, Any], kernel: str) -> None:
    """Against autograd through the modules in double precision, and torch's own Adam."""
    agent = filled(
        kernel=kernel, seed=7, seeds=None, gamma=0.9, tau=0.25, reward_scale=0.5, grad_clip=None, actor_lr=0.01,
        critic_lr=0.02, temperature_lr=0.03, initial_temperature=0.3, **settings,
    )  # fmt: skip
    own = agent.settings
    nets = {name: copy.deepcopy(net).double() for name, net in agent.networks.items()}
    stored = agent.experience.buffer.sample(
        agent.draws.uniform("sampling", 16), own.burn_in + own.sequence_length, torch.device("cpu")
    )
    batch = {name: getattr(stored, name).clone().double() for name in Batch.__slots__}
    metrics = learn(agent, (0,))

    temperature, counted = 0.3, (slice(None), slice(None), slice(own.burn_in, None))

    def values(name: str) -> tuple[Tensor, Tensor]:
        net = nets[name]
        if own.critic != "recurrent":
            return stepped(net, batch, None)
        return stepped(net, batch, torch.zeros(1, 16, net.state_size).double())  # type: ignore[call-overload]

    _, next_out = stepped(nets["actor"], batch, batch["hidden"])
    following = Categorical(logits=next_out)
    next_q = torch.minimum(*(values(f"target_{name}")[1] for name in CRITICS))
    next_value = (following.probs * next_q).sum(3) + temperature * following.entropy()
    discount = 0.9 ** batch["next_dt"] * (1.0 - batch["terminated"])
    y = (0.5 * batch["reward"] + discount * next_value).detach()
    for name in CRITICS:
        q = values(name)[0].gather(3, batch["action"].long()).squeeze(3)
        loss = (q - y)[counted].square().mean()
        torch.testing.assert_close(metrics[f"{name}/loss"].double(), loss.detach()[None], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            metrics[f"{name}/q"].double(), q.detach()[counted].mean()[None], rtol=1e-4, atol=1e-5
        )
        step(nets[name], loss, 0.02)
        for old, new in zip(nets[f"target_{name}"].parameters(), nets[name].parameters(), strict=True):
            old.data.mul_(0.75).add_(0.25 * new.data)

    pi = Categorical(logits=stepped(nets["actor"], batch, batch["hidden"])[0])
    q = torch.minimum(*(values(name)[0] for name in CRITICS)).detach()
    actor_loss = ((pi.probs * (temperature * pi.logits - q)).sum(3))[counted].mean()
    entropy = pi.entropy()[counted].mean().detach()
    step(nets["actor"], actor_loss, 0.01)
    target = 0.5 * math.log(4) if own.target_entropy is None else own.target_entropy
    loss = (nets["temperature"].value * (entropy - target)).sum()
    step(nets["temperature"], loss, 0.03)

    expected = {"actor/loss": actor_loss, "actor/entropy": entropy, "temperature/loss": loss}
    for key, value in expected.items():
        torch.testing.assert_close(metrics[key].double(), value.detach()[None], rtol=1e-4, atol=1e-5)
    assert metrics["temperature/value"].item() == pytest.approx(0.3)
    for net, module in nets.items():
        for key, value in module.named_parameters():
            ours = parameters(agent, net)[key].double()
            torch.testing.assert_close(ours, value.detach(), rtol=1e-3, atol=2e-5, msg=f"{net}.{key}")


@pytest.mark.parametrize("settings", [{"sequence_length": 2}, RECURRENT], ids=str)
def test_a_seed_among_three_learns_as_it_does_alone(settings: dict[str, Any]) -> None:
    together, alone = filled(**settings), filled(seed=2, seeds=None, **settings)
    for _ in range(5):
        learn(together)
        learn(alone, (0,))
    taken = together.seed(1)
    for net in alone.networks:
        for (name, a), b in zip(parameters(alone, net).items(), parameters(taken, net).values(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5, msg=f"{net}.{name}")


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_stopped_seed_stays_while_its_neighbours_learn(kernel: str) -> None:
    agent = filled(kernel=kernel)
    learn(agent)
    before = {net: parameters(agent, net) for net in agent.networks}
    learn(agent, (0, 2))
    for net, old in before.items():
        after = parameters(agent, net)
        assert all(torch.equal(old[name][1], after[name][1]) for name in old)
        assert any(not torch.equal(old[name][2], after[name][2]) for name in old), net


def test_the_policy_becomes_as_random_as_it_is_told_to() -> None:
    for target in (0.2, 1.2):
        agent = filled(target_entropy=target, actor_lr=0.01, temperature_lr=0.05, gamma=0.0, reward_scale=0.1)
        for _ in range(300):
            entropy = learn(agent)["actor/entropy"]
        assert (entropy - target).abs().max() < 0.15, (target, entropy)


# --------------------------------------------------------------------------------------------------------------- acting


def test_choices_are_drawn_by_the_softmax_and_uniformly_while_warming_up() -> None:
    """And what is drawn depends on seed and step alone."""
    out = np.log(np.array([[0.7, 0.2, 0.1]] * 2, np.float32))
    before, sampling = out.copy(), ChoiceSampling((1, 2))
    drawn = np.stack([sampling.act(out, (0, 1), (n, n), (1,)) for n in range(4000)])
    assert drawn.shape == (4000, 2, 1)
    assert np.array_equal(out, before)
    shares = [[(drawn[:, k] == a).mean() for a in range(3)] for k in range(2)]
    np.testing.assert_allclose(shares, [[0.7, 0.2, 0.1], [1 / 3] * 3], atol=0.03)
    assert np.array_equal(ChoiceSampling((1,)).act(out[:1], (0,), (7,), ()), drawn[7, :1])


def test_predict_prefers_the_likeliest_choice_and_draws_when_asked() -> None:
    agent = make(seed=2)
    with torch.no_grad():
        agent.actor.get_parameter("head.weight").zero_()
        agent.actor.get_parameter("head.bias").copy_(torch.tensor([[0.4, 0.1, 0.3, 0.2]]).log())
    choice, hidden = agent.predict([0.1, 0.2, 0.3])
    assert type(choice) is int
    assert choice == 0
    assert hidden.shape == (agent.state_size,)
    drawn, _ = agent.predict(np.zeros((4000, 3)), explore=True)
    assert drawn.dtype == np.int64
    np.testing.assert_allclose(np.bincount(drawn) / 4000, [0.4, 0.1, 0.3, 0.2], atol=0.03)


class FromFive(gym.Env[Any, Any]):
    """Three actions numbered 5 to 7; the last is rewarded."""

    observation_space = gym.spaces.Box(-1.0, 1.0, (1,))
    action_space = gym.spaces.Discrete(3, start=5)

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action)
        self.seen.append(action)
        return np.zeros(1, np.float32), float(action == 7), len(self.seen) % 10 == 0, False, {}


def test_it_finds_the_action_that_is_rewarded(tmp_path: Path) -> None:
    env = FromFive()
    agent = LiquidSAC(
        1, 6, 3, discrete=True, device="cpu", seed=0, warmup_steps=40, buffer_size=300, actor_lr=0.01, gamma=0.5
    )
    result = agent.train(env, 16, n_steps=300, evaluate_every=29, evaluation_episodes=2, **QUIET)
    assert {int(action) for action in env.seen} == {5, 6, 7}
    assert result.evaluations[-1].returns == (10.0, 10.0)
    assert agent.buffer.state_dict(0)["rows"].shape == (1, 300, 2 + 1 + 6 + agent.state_size)
    loaded = LiquidSAC.load(agent.save(tmp_path / "agent", buffer=True), buffer=True, device="cpu")
    assert loaded.settings.discrete
    assert loaded.predict([0.0])[0] == agent.predict([0.0])[0] == 7
    assert torch.equal(loaded.buffer.state_dict(0)["rows"], agent.buffer.state_dict(0)["rows"])


# --------------------------------------------------------------------------------------------------------- what it says


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"discrete": 1}, "discrete: input should be a valid boolean, got 1"),
        ({"target_entropy": 1.5}, "target_entropy: that of 4 choices lies between 0 and 1.386 nats, got 1.5"),
        ({"target_entropy": -1.0}, "target_entropy: that of 4 choices lies between 0 and 1.386 nats, got -1.0"),
    ],
)
def test_a_bad_setting_is_one_line_that_names_it(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError) as error:
        make(**settings)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("agent", "env", "message"),
    [
        (LiquidDDPG(4, 6, 1), "CartPole-v1", "or make LiquidPPO or LiquidSAC with discrete=True"),
        (LiquidSAC(4, 6, 2), "CartPole-v1", "or make this agent with discrete=True"),
        (LiquidSAC(3, 6, 1, discrete=True), "Pendulum-v1", "expected discrete actions, got Box"),
    ],
    ids=["DDPG", "SAC", "SAC of choices"],
)
def test_environments_that_do_not_fit_are_named(agent: Any, env: str, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        agent.train(env, 8, n_steps=10, **QUIET)


def test_a_diverged_policy_is_reported() -> None:
    agent = make()
    with torch.no_grad():
        agent.actor.get_parameter("head.bias").fill_(float("nan"))
    with pytest.raises(NonFiniteError, match="policy: gave the action"):
        agent.predict([0.1, 0.2, 0.3])
