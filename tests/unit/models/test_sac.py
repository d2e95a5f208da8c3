"""LiquidSAC: one update by hand, in every kernel; how it acts; what it saves and goes on from."""

from __future__ import annotations

import copy
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal, TanhTransform, TransformedDistribution

from tests.shared import KERNELS, QUIET, digests
from tests.unit.models.experience import fill, learn, parameters
from velora.buffers import Batch
from velora.callbacks import SaveCheckpoints
from velora.core.errors import SettingError
from velora.models import LiquidSAC, learner
from velora.models.stochastic_exploration import SquashedSampling
from velora.nn.networks import critics, policies
from velora.nn.run.autograd import TorchNetwork
from velora.nn.sequence import unroll_by_steps

CRITICS = ("critic_1", "critic_2")


def make(**settings: Any) -> LiquidSAC:
    return LiquidSAC(3, 8, 2, **{"device": "cpu", "seed": 5, **settings})


def filled(**settings: Any) -> LiquidSAC:
    """Make three seeds with full buffers."""
    agent = make(**{"seed": None, "seeds": [1, 2, 3], "warmup_steps": 0, "buffer_size": 90, **settings})
    for k, seed in enumerate(agent.seeds):
        g = np.random.default_rng(seed)
        fill(agent, k, g, 100 + seed)
    agent.configure_training()
    return agent


def sample(out: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Draw with given noise from what a policy puts out, by PyTorch's own classes."""
    mean, raw = out.chunk(2, -1)
    std = (-5.0 + 3.5 * (raw.tanh() + 1.0)).exp()
    tanh = TanhTransform(cache_size=1)
    action = tanh(mean + std * noise)
    distribution = TransformedDistribution(Normal(mean, std), [tanh])
    return action, Independent(distribution, 1).log_prob(action)


def value_of(critic: Any, obs: Tensor, action: Tensor) -> Tensor:
    value: Tensor = critic(obs.flatten(1, 2), action.flatten(1, 2))
    return value.view(obs.shape[:3])


def states_and_next_outputs(actor: Any, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Step along a window one by one: what the policy puts out at every ``obs``, and aside at every ``next_obs``."""
    hidden, here, aside = batch["hidden"], [], []
    for t in range(batch["obs"].shape[2]):
        now = slice(t, t + 1)
        hidden = hidden * (1.0 - batch["start"][:, :, t, None])
        out, _, hidden = actor.unroll((batch["obs"][:, :, now],), hidden, batch["dt"][:, :, now], None)
        there, _, _ = actor.unroll((batch["next_obs"][:, :, now],), hidden, batch["next_dt"][:, :, now], None)
        here.append(out)
        aside.append(there)
    return torch.cat(here, 2), torch.cat(aside, 2)


def step(module: torch.nn.Module, loss: Tensor, lr: float) -> None:
    adam = torch.optim.Adam(module.parameters(), lr=lr)
    loss.backward(inputs=list(module.parameters()))
    adam.step()


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    "settings", [{}, {"critic": "liquid"}, {"sequence_length": 2, "burn_in": 1, "target_entropy": -0.5}], ids=str
)
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
    shape = batch["action"].shape[1:]
    following, noise = (agent.normal(f"{which} actions", *shape).clone().double() for which in ("next", "policy"))
    metrics = learn(agent, (0,))

    temperature, counted = 0.3, (slice(None), slice(None), slice(own.burn_in, None))
    _, next_out = states_and_next_outputs(nets["actor"], batch)
    action, log_prob = sample(next_out, following)
    targets = [value_of(nets[f"target_{name}"], batch["next_obs"], action) for name in CRITICS]
    next_value = torch.minimum(*targets) - temperature * log_prob
    y = (0.5 * batch["reward"] + 0.9 * (1.0 - batch["terminated"]) * next_value).detach()
    for name in CRITICS:
        loss = (value_of(nets[name], batch["obs"], batch["action"]) - y)[counted].square().mean()
        torch.testing.assert_close(metrics[f"{name}/loss"].double(), loss.detach()[None], rtol=1e-4, atol=1e-5)
        step(nets[name], loss, 0.02)
        for old, new in zip(nets[f"target_{name}"].parameters(), nets[name].parameters(), strict=True):
            old.data.mul_(0.75).add_(0.25 * new.data)

    out, _ = states_and_next_outputs(nets["actor"], batch)
    action, log_prob = sample(out, noise)
    values = torch.minimum(*(value_of(nets[name], batch["obs"], action) for name in CRITICS))
    actor_loss = (temperature * log_prob - values)[counted].mean()
    step(nets["actor"], actor_loss, 0.01)
    target = -2.0 if own.target_entropy is None else own.target_entropy
    log_temperature = nets["temperature"].get_parameter("value")
    loss = -(log_temperature * (log_prob.detach()[counted].mean() + target)).sum()
    step(nets["temperature"], loss, 0.03)

    expected = {"actor/loss": actor_loss, "actor/entropy": -log_prob[counted].mean(), "temperature/loss": loss}
    for key, value in expected.items():
        torch.testing.assert_close(metrics[key].double(), value.detach()[None], rtol=1e-4, atol=1e-5)
    assert metrics["temperature/value"].item() == pytest.approx(0.3)
    for net, module in nets.items():
        for key, value in module.named_parameters():
            ours = parameters(agent, net)[key].double()
            torch.testing.assert_close(ours, value.detach(), rtol=1e-3, atol=2e-5, msg=f"{net}.{key}")


SETTINGS = [
    {}, {"sequence_length": 3, "burn_in": 2}, {"critic": "liquid"}, {"critic": "recurrent", "sequence_length": 3},
    {"cell": "ltc"}, {"cell": "cfc", "mixed_memory": True},
]  # fmt: skip


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.some(6)
def test_a_replayed_update_is_the_update_bit_for_bit(settings: dict[str, Any], kernel: str) -> None:
    """On any number of threads, and with a seed that has stopped."""
    agents = [filled(kernel=kernel, **settings) for _ in range(3)]
    stepwise, replayed, threaded = agents
    threaded.threads = 3
    stepwise.record = False
    stepwise.configure_training()
    assert [agent.experience.updates.is_recorded for agent in agents] == [False, True, True]
    for update in range(5):
        results = [learn(agent, (0, 2) if update >= 3 else (0, 1, 2)) for agent in agents]
        for name, value in results[0].items():
            assert torch.equal(value[[0, 2]], results[1][name][[0, 2]]), name
    for net in stepwise.networks:
        for name, value in parameters(stepwise, net).items():
            assert torch.equal(value, parameters(replayed, net)[name]), (net, name)
            assert torch.equal(value, parameters(threaded, net)[name]), (net, name)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("settings", [*SETTINGS, {"cell": "gru", "optimizer": "adamw"}], ids=str)
@pytest.mark.some(7)
def test_every_kernel_learns_what_autograd_does(
    settings: dict[str, Any], kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reference has no plans, so that it goes through modules and single steps."""
    ours = filled(kernel=kernel, **settings)
    monkeypatch.setattr(learner, "make_network", lambda module, flat, kernel: TorchNetwork(module, flat))
    for where in (policies, critics):
        monkeypatch.setattr(where, "unroll", unroll_by_steps)
    plain = filled(kernel="torch", **settings)
    for _ in range(3):
        made, expected = learn(ours), learn(plain)
        for name, value in made.items():
            torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5, msg=name)
    for net in ours.networks:
        for name, value in parameters(ours, net).items():
            torch.testing.assert_close(value, parameters(plain, net)[name], rtol=1e-3, atol=2e-4, msg=f"{net}.{name}")


def test_a_seed_among_three_learns_as_it_does_alone() -> None:
    together, alone = filled(sequence_length=2), filled(seed=2, seeds=None, sequence_length=2)
    for _ in range(5):
        learn(together)
        learn(alone, (0,))
    taken = together.seed(1)
    assert taken.seeds == alone.seeds == (2,)
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


@pytest.mark.parametrize(("target", "is_hotter"), [(50.0, True), (-50.0, False)])
def test_the_temperature_rises_until_the_policy_is_random_enough(target: float, is_hotter: bool) -> None:
    agent = filled(target_entropy=target, initial_temperature=0.2, temperature_lr=0.01)
    values = [learn(agent)["temperature/value"] for _ in range(4)]
    assert torch.allclose(values[0], torch.full((3,), 0.2))
    for earlier, later in pairwise(values):
        assert ((later > earlier) == is_hotter).all()


def test_only_the_critics_have_targets() -> None:
    assert set(make().networks) == {"actor", *CRITICS, "temperature", *(f"target_{name}" for name in CRITICS)}


def test_the_two_critics_start_differently() -> None:
    first, second = (parameters(make(), name)["layers.0.weight"] for name in CRITICS)
    assert not torch.equal(first, second)


# --------------------------------------------------------------------------------------------------------------- acting


def test_sampling_is_the_squashed_gaussian_of_the_policy_s_output() -> None:
    """And what is drawn depends on seed and step alone."""
    out = np.array([[0.4, -1.0], [-2.0, 0.5]], np.float32)
    std = np.exp(-5.0 + 3.5 * (np.tanh(out[:, 1]) + 1.0))
    sampling = SquashedSampling((1, 2), 1)
    drawn = np.stack([sampling.act(out, (0, 1), (n, n), ())[:, 0] for n in range(4000)])
    u = np.arctanh(np.clip(drawn, -0.999999, 0.999999))
    assert (np.abs(u.mean(0) - out[:, 0]) < 4 * std / 4000**0.5).all()
    np.testing.assert_allclose(u.std(0), std, rtol=0.05)
    assert np.array_equal(SquashedSampling((2,), 1).act(out[1:], (0,), (7,), ()), drawn[7, 1:, None])


def test_warm_up_is_uniform_and_only_for_those_who_need_it() -> None:
    out = np.array([[9.0, -9.0]] * 2, np.float32)
    sampling = SquashedSampling((1, 2), 1)
    drawn = np.stack([sampling.act(out, (0, 1), (n, n), (1,)) for n in range(2000)])
    assert (drawn[:, 0] > 0.99).all()
    assert drawn[:, 1].mean() == pytest.approx(0.0, abs=0.05)
    assert drawn[:, 1].std() == pytest.approx(3.0**-0.5, rel=0.05)


def test_predict_prefers_the_tanh_of_the_mean_and_draws_when_asked() -> None:
    agent, obs = make(), np.zeros((5000, 3))
    out, _, _ = agent.networks["actor"].unroll((torch.zeros(1, 1, 1, 3),), None, None, None)  # type: ignore[operator]
    mean, raw = out.detach().flatten().chunk(2)
    plain, _ = agent.predict(obs)
    np.testing.assert_allclose(plain[0], mean.tanh(), rtol=1e-5, atol=1e-6)
    assert np.array_equal(agent.predict(obs)[0], plain)
    u = np.arctanh(agent.predict(obs, explore=True)[0])
    std = (-1.5 + 3.5 * raw.tanh()).exp().numpy()
    np.testing.assert_allclose(u.std(0), std, rtol=0.05)


def test_training_acts_as_the_policy_says() -> None:
    """What the buffer holds after the warm-up is what the sampler makes of the policy at the stored states."""
    env = gym.make("Pendulum-v1", max_episode_steps=15)
    agent = LiquidSAC(3, 8, 1, device="cpu", seed=3, warmup_steps=20, buffer_size=100)
    agent.train(env, 64, n_episodes=4, **QUIET)  # 60 steps, too few for an update
    assert agent.progress[0].update == 0
    rows = agent.buffer.state_dict(0)["rows"][0]
    obs, action, hidden = rows[:, :3], rows[:, 3], rows[:, -agent.state_size :]
    out, _, _ = agent.networks["actor"].unroll((obs[None, :, None],), hidden[None], None, None)  # type: ignore[operator]
    sampling = SquashedSampling((3,), 1)
    for n in range(60):
        expected = sampling.act(out.detach()[0, n].numpy(), (0,), (n,), (0,) if n < 20 else ())
        assert action[n].item() == pytest.approx(float(expected[0, 0]), abs=1e-5)


# --------------------------------------------------------------------------------------------------- saving, resuming


def small(seed: int | None = None, seeds: tuple[int, ...] | None = None) -> LiquidSAC:
    return LiquidSAC(
        3, 6, 1, device="cpu", warmup_steps=20, buffer_size=100, sequence_length=2, burn_in=1, seed=seed, seeds=seeds
    )


def train(agent: LiquidSAC, home: Path, n_episodes: int, resume: Path | None = None) -> None:
    env = gym.make("Pendulum-v1", max_episode_steps=15)
    agent.train(env, 4, n_episodes=n_episodes, callbacks=[SaveCheckpoints(home, frequency=1)], resume=resume, **QUIET)


@pytest.mark.parametrize(("seeds", "parts"), [((5,), [""]), ((7, 2), ["seed7", "seed2"])])
def test_two_halves_equal_the_whole_bit_for_bit(tmp_path: Path, seeds: tuple[int, ...], parts: list[str]) -> None:
    train(small(seeds=seeds), tmp_path / "whole", 5)
    train(small(seeds=seeds), tmp_path / "cut", 3)
    train(small(seeds=seeds), tmp_path / "cut", 5, resume=tmp_path / "cut")
    for part in parts:
        assert digests(tmp_path / "whole" / part / "final") == digests(tmp_path / "cut" / part / "final")


def test_a_loaded_agent_predicts_and_learns_the_same(tmp_path: Path) -> None:
    original = filled(seed=4, seeds=None)
    for _ in range(3):
        learn(original, (0,))
    original.save(tmp_path / "a", buffer=True)
    loaded = LiquidSAC.load(tmp_path / "a", buffer=True, device="cpu")
    assert loaded.settings == original.settings
    assert torch.equal(parameters(loaded, "temperature")["value"], parameters(original, "temperature")["value"])
    a, _ = original.predict([0.1, -0.2, 0.3])
    b, _ = loaded.predict([0.1, -0.2, 0.3])
    assert np.array_equal(a, b)
    loaded.configure_training()
    mine, theirs = learn(original, (0,)), learn(loaded, (0,))
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    for net in original.networks:
        for name, value in parameters(original, net).items():
            assert torch.equal(value, parameters(loaded, net)[name]), (net, name)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature_lr": 0.0}, "temperature_lr: input should be greater than 0, got 0.0"),
        ({"initial_temperature": -1.0}, "initial_temperature: input should be greater than 0, got -1.0"),
        ({"target_entropy": float("nan")}, "target_entropy: input should be a finite number, got nan"),
        ({"cell": "gru", "mixed_memory": True}, "mixed_memory: only for"),
    ],
)
def test_a_bad_setting_is_one_line_that_names_it(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError) as error:
        make(**settings)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
