"""PPO: what a learning phase does, that seeds are independent, and discrete actions from end to end."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor, distributions

from tests.shared import KERNELS, QUIET
from tests.unit.models.experience import count
from velora.buffers import Rollout
from velora.callbacks import Callback
from velora.core.errors import CheckpointError, NonFiniteError, SettingError, SpaceError
from velora.envs import DiscreteActions
from velora.models import LiquidPPO
from velora.nn.sequence import unroll_by_steps

CELLS = [
    {"cell": "cfc"}, {"cell": "cfc", "cell_mode": "pure"}, {"cell": "cfc", "cell_mode": "no_gate"},
    {"cell": "cfc", "mixed_memory": True}, {"cell": "ltc"}, {"cell": "gru"}, {"cell": "memoryless"},
]  # fmt: skip


def make(**settings: Any) -> LiquidPPO:
    small = {"rollout_steps": 24, "sequence_length": 4, "n_epochs": 2, "critic_units": (16, 16)}
    return LiquidPPO(
        **{"state_dim": 3, "n_neurons": 8, "action_dim": 2, "device": "cpu", "seed": 5, **small, **settings}
    )


def fill(agent: LiquidPPO, *, seed: int = 0) -> None:
    """Fill the rollouts of all seeds alike, with episodes that end by themselves and by a time limit."""
    n = agent.n_envs
    for k in range(agent.n_seeds):
        g = np.random.default_rng(seed)
        for step in range(agent.settings.rollout_steps):
            i = step + 5 * np.arange(n)[:, None]  # environments end their episodes at different steps
            action = g.integers(2, size=(n, 1)) if agent.discrete else g.normal(size=(n, 2))
            agent.buffer.add(
                k, obs=g.normal(size=(n, 3)), action=action, reward=g.normal(size=(n, 1)),
                next_obs=g.normal(size=(n, 3)), terminated=i % 9 == 8, truncated=i % 14 == 13, dt=1.0,
                next_dt=1.0 + i % 2, start=(i % 9 == 0) | (i % 14 == 0), log_prob=-1.5 + 0.2 * g.normal(size=(n, 1)),
                hidden=0.3 * g.normal(size=(n, agent.state_size)),
            )  # fmt: skip


def learn(agent: LiquidPPO, rows: tuple[int, ...] = (0,), batch_size: int = 8) -> Mapping[str, Tensor]:
    agent.experience.begin(batch_size, rows)
    return agent.experience.finish(agent.progress[0].update, lambda rows, metrics: count(agent, rows))


def parameters(agent: LiquidPPO, net: str) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in agent.networks[net].named_parameters()}


# ------------------------------------------------------------------------------------------------------- the update


def reference_phase(agent: LiquidPPO, networks: Any, batch_size: int) -> None:
    """Change copies of the networks by the same phase, in autograd, with torch's own Adam and distributions."""
    s, actor, critic = agent.settings, networks["actor"], networks["critic"]
    r = agent.experience.buffer.read(torch.device("cpu"))
    each = [Rollout(*(getattr(r, name)[0, e].clone() for name in Rollout.__slots__)) for e in range(s.n_envs)]
    everything = Rollout(*(torch.cat([getattr(own, name) for own in each]) for name in Rollout.__slots__))
    n, length = s.rollout_steps, s.sequence_length

    def respond(module: Any, obs: Tensor, hidden: Tensor | None, dt: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
        """Go along windows (B, T) step by step; return outputs and states."""
        if module is critic and s.critic == "dense":
            x = obs
            for layer in critic.layers[:-1]:
                x = torch.relu(x @ layer.weight[0].T + layer.bias[0])
            return x @ critic.layers[-1].weight[0].T + critic.layers[-1].bias[0], obs[:, :, :0]
        before = module.cell.initial_state(len(obs)) if hidden is None else hidden[None]
        states, _ = unroll_by_steps(module.cell, obs[None], before, dt[None], start[None] > 0.5)
        if module is actor:
            return states[0, ..., actor.reads] @ actor.head.weight[0].T + actor.head.bias[0], states[0]
        x = module.cell.readout(states)[0]
        for layer in critic.layers[:-1]:
            x = torch.relu(x @ layer.weight[0].T + layer.bias[0])
        return x @ critic.layers[-1].weight[0].T + critic.layers[-1].bias[0], states[0]

    def value(obs: Tensor, hidden: Tensor | None, dt: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
        out, states = respond(critic, obs, hidden, dt, start)
        return out[:, :, 0], states

    @torch.no_grad()
    def judge(own: Rollout) -> tuple[Tensor, Tensor, Tensor]:
        """Go along one environment; return advantages, returns, and the critic's state before each step."""
        v, states = value(own.obs[None], None, own.dt[None], own.start[None])
        v_next, _ = value(own.next_obs[:, None], states[0], own.next_dt[:, None], torch.zeros(n, 1))
        v, v_next = v[0], v_next[:, 0]
        advantage = torch.zeros(n)
        for t in reversed(range(n)):
            gamma = s.gamma ** float(own.next_dt[t])
            delta = s.reward_scale * own.reward[t] - v[t]
            delta += gamma * v_next[t] * (1 - own.terminated[t])
            goes_on = t + 1 < n and not own.terminated[t] and not own.truncated[t]
            advantage[t] = delta + (gamma * s.gae_lambda * advantage[t + 1] if goes_on else 0.0)
        return advantage, advantage + v, torch.cat((torch.zeros(1, states.shape[2]), states[0, :-1]))

    advantage, returns, before = map(torch.cat, zip(*map(judge, each), strict=True))

    optimizers = {
        name: torch.optim.Adam(networks[name].parameters(), lr) for name, lr in agent.learning_rates().items()
    }
    for epoch in range(s.n_epochs):
        order = agent._order.at([agent.progress[0].update * s.n_epochs + epoch])[0].argsort()
        for begin in range(0, len(order), batch_size // length):
            windows = [slice(w * length, (w + 1) * length) for w in order[begin : begin + batch_size // length]]

            def stack(values: Tensor, windows: list[slice] = windows) -> Tensor:
                return torch.stack([values[w] for w in windows])

            obs, dt, start = stack(everything.obs), stack(everything.dt), stack(everything.start)
            out, _ = respond(actor, obs, stack(everything.hidden)[:, 0], dt, start)
            action = stack(everything.action)
            if s.discrete:
                pi: Any = distributions.Categorical(logits=out)
                log_prob, entropy = pi.log_prob(action[:, :, 0]), pi.entropy()
            else:
                pi = distributions.Normal(out, actor.log_std[0].exp())
                log_prob, entropy = pi.log_prob(action).sum(2), pi.entropy().sum(2)
            ratio, a = (log_prob - stack(everything.log_prob)).exp(), stack(advantage)
            a = (a - a.mean()) / (a.std(correction=0) + 1e-8)
            gain = torch.minimum(ratio * a, ratio.clamp(1 - s.clip_range, 1 + s.clip_range) * a)
            estimate, _ = value(obs, stack(before)[:, 0], dt, start)
            losses = {
                "actor": -gain.mean() - s.entropy_bonus * entropy.mean(),
                "critic": (estimate - stack(returns)).square().mean(),
            }
            for name, loss in losses.items():
                optimizers[name].zero_grad()
                loss.backward()
                assert s.grad_clip is not None
                torch.nn.utils.clip_grad_norm_(networks[name].parameters(), s.grad_clip)
                optimizers[name].step()


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"discrete": True, "cell": "ltc"},
        {"critic": "recurrent", "sequence_length": 6},
        {"discrete": True, "critic": "recurrent", "cell": "gru", "n_epochs": 1},
        {"sequence_length": 1, "rollout_steps": 30, "n_epochs": 3},
        {"mixed_memory": True, "batch_size": 16},
        {"n_envs": 3, "batch_size": 16},
        {"n_envs": 2, "discrete": True, "critic": "recurrent", "n_epochs": 1},
    ],
    ids=str,
)
@pytest.mark.some(8)
def test_a_learning_phase_equals_autograd_and_torch_adam(settings: dict[str, Any], kernel: str) -> None:
    settings = dict(settings)
    batch_size = settings.pop("batch_size", 8)  # 16 steps leave a smaller minibatch over
    agent = make(kernel=kernel, entropy_bonus=0.02, grad_clip=0.1, gamma=0.9, gae_lambda=0.8, **settings)
    fill(agent)
    expected = copy.deepcopy(dict(agent.networks))
    reference_phase(agent, expected, batch_size)
    before = {net: parameters(agent, net) for net in agent.networks}
    metrics = learn(agent, batch_size=batch_size)
    assert all(m.shape == (1,) and m.isfinite().all() for m in metrics.values())
    for net, module in expected.items():
        assert any(not torch.equal(before[net][n], p) for n, p in parameters(agent, net).items())
        for name, parameter in module.named_parameters():
            torch.testing.assert_close(
                parameters(agent, net)[name], parameter.detach(), rtol=1e-3, atol=2e-5, msg=f"{net}.{name}"
            )


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("cell", CELLS, ids=lambda c: "-".join(map(str, c.values())))
def test_every_cell_learns_in_every_kernel(cell: dict[str, Any], kernel: str) -> None:
    agent = make(kernel=kernel, **cell)
    fill(agent)
    before = parameters(agent, "actor")
    learn(agent)
    after = parameters(agent, "actor")
    unused = {"cell.output_w", "cell.output_b"}  # an LTC's own readout, beside which the linear map reads its neurons
    assert {n for n in before if torch.equal(before[n], after[n])} <= unused
    assert all(value.isfinite().all() for value in after.values())


def test_rewarded_actions_become_likelier() -> None:
    for discrete in (True, False):
        agent = make(discrete=discrete, rollout_steps=64, actor_lr=0.01)
        fill(agent)
        rows = agent.buffer.incoming
        agent.experience.buffer.clear((0,))
        for i in range(64):
            good = i % 2 == 0
            rows["action"][0] = float(good) if discrete else (0.5 if good else -0.5)
            rows["reward"][0], rows["terminated"][0] = (1.0 if good else -1.0), 1.0
            rows["obs"][0], rows["hidden"][0], rows["start"][0] = 0.1, 0.0, 1.0
            rows["log_prob"][0] = np.log(0.5) if discrete else -2.0 * (0.125 + 0.918939)
            agent.buffer.append((0,))
        learn(agent, batch_size=64)
        out, _ = agent.policy(torch.full((1, 1, 3), 0.1), agent.initial_hidden(), torch.ones(1, 1))
        assert (out[0, 0, 1] > out[0, 0, 0] + 0.05) if discrete else (out > 0.02).all()


def test_a_time_limit_bootstraps_and_an_end_does_not() -> None:
    agent = make()
    fill(agent)
    rollout = agent.experience.buffer.read(torch.device("cpu"))
    advantage, returns, _ = agent.judge(rollout)
    critic = agent.learner.networks["critic"]
    value, following = critic.run(rollout.obs).out, critic.run(rollout.next_obs).out
    assert value is not None
    assert following is not None
    reward = 0.1 * rollout.reward
    torch.testing.assert_close(returns[0, 0, 8], reward[0, 0, 8])  # terminated
    expected = reward[0, 0, 13] + 0.99**2 * following[0, 0, 13, 0]  # truncated, with two steps of time to next_obs
    torch.testing.assert_close(returns[0, 0, 13], expected)
    torch.testing.assert_close(advantage, returns - value.squeeze(3))


def test_every_environment_has_advantages_of_its_own() -> None:
    """By hand: V is 2 everywhere, gamma and lambda are 0.5, so that delta is r - 1, or r - 2 where it terminates."""
    agent = make(n_envs=2, rollout_steps=4, sequence_length=2, gamma=0.5, gae_lambda=0.5, reward_scale=1.0)
    with torch.no_grad():
        for parameter in agent.networks["critic"].parameters():
            parameter.zero_()
        agent.networks["critic"].layers[-1].bias.fill_(2.0)  # type: ignore[union-attr, index]
    rewards, ends = [(1.0, 6.0, 3.0, 4.0), (2.0, 2.0, 2.0, 2.0)], [(0, 1, 0, 0), (0, 0, 0, 0)]
    for reward, end in zip(zip(*rewards, strict=True), zip(*ends, strict=True), strict=True):
        agent.buffer.add(
            0, obs=np.zeros((2, 3)), action=0.0, reward=np.reshape(reward, (2, 1)), next_obs=np.zeros((2, 3)),
            terminated=np.reshape(end, (2, 1)), truncated=0, dt=1.0, next_dt=1.0, start=0, log_prob=0.0, hidden=0.0,
        )  # fmt: skip
    assert agent.experience.due((0,), 4) == (0,)
    advantage, returns, _ = agent.judge(agent.experience.buffer.read(torch.device("cpu")))
    # deltas: 0, 4, 2, 3 with an end after the second; and 1, 1, 1, 1
    assert advantage.tolist() == [[[1.0, 4.0, 2.75, 3.0], [1.328125, 1.3125, 1.25, 1.0]]]
    assert torch.equal(returns, advantage + 2.0)


def test_an_episode_that_was_left_unfinished_earns_nothing_from_the_next() -> None:
    """As where a run ends by its number of steps, and another run follows."""
    agent = make()
    fill(agent)
    rollout = agent.experience.buffer.read(torch.device("cpu"))
    rollout.start[0, 0, 5] = 1.0
    advantage, returns, _ = agent.judge(rollout)
    following = agent.learner.networks["critic"].run(rollout.next_obs).out
    assert following is not None
    gamma = 0.99 ** float(rollout.next_dt[0, 0, 4])
    torch.testing.assert_close(returns[0, 0, 4], 0.1 * rollout.reward[0, 0, 4] + gamma * following[0, 0, 4, 0])
    assert advantage.isfinite().all()


def test_a_seed_that_has_moved_too_far_stops_for_this_phase() -> None:
    near, far = make(n_epochs=20, target_kl=0.01), make(n_epochs=20)
    for agent in (near, far):
        fill(agent)
        agent.optimizers["actor"].param_groups[0]["lr"] = 0.05
    assert float(learn(near)["actor/kl"]) < float(learn(far)["actor/kl"])
    steps = [float(agent.learner.optimizer_state(0)["critic.layers.0.weight.step"]) for agent in (near, far)]
    assert 0 < steps[0] < steps[1] == 20 * 3


# ------------------------------------------------------------------------------------------------------------ seeds


@pytest.mark.parametrize("settings", [{}, {"discrete": True, "critic": "recurrent"}])
def test_a_seed_among_three_learns_as_it_does_alone(settings: dict[str, Any]) -> None:
    together, alone = make(seed=None, seeds=[4, 5, 6], **settings), make(seed=5, **settings)
    for phase in range(2):
        for agent in (together, alone):
            fill(agent, seed=phase)
        learn(together, (0, 1, 2))
        learn(alone)
    taken = together.seed(1)
    for net in alone.networks:
        for name, value in parameters(alone, net).items():
            torch.testing.assert_close(value, parameters(taken, net)[name], rtol=1e-4, atol=2e-5, msg=f"{net}.{name}")


def test_a_seed_that_is_not_due_stays_as_it_is() -> None:
    agent = make(seed=None, seeds=[1, 2], critic="recurrent")
    fill(agent)
    first = dict(learn(agent, (0, 1)))
    fill(agent, seed=1)
    agent.experience.buffer.clear((0,))
    assert agent.experience.due((0, 1), 8) == (1,)
    before, hidden = parameters(agent, "actor"), agent.critic_hidden.clone()
    second = learn(agent, (1,))
    after = parameters(agent, "actor")
    assert all(torch.equal(before[n][0], after[n][0]) for n in before)
    assert any(not torch.equal(before[n][1], after[n][1]) for n in before)
    assert torch.equal(agent.critic_hidden[0], hidden[0])
    assert not torch.equal(agent.critic_hidden[1], hidden[1])
    assert all(first[n][0] == second[n][0] for n in first)
    assert all(first[n][1] != second[n][1] for n in ("actor/loss", "critic/loss", "actor/kl"))


# ---------------------------------------------------------------------------------------------------------- acting


class Watch(Callback):
    """Keep every rollout and how often learning was reported."""

    def __init__(self) -> None:
        self.rollouts: list[dict[str, Tensor]] = []
        self.updates: list[int] = []

    def on_train_batch_start(self, trainer: Any, agent: Any, batch: Any, batch_idx: int) -> None:
        self.rollouts.append({name: getattr(batch, name).clone() for name in Rollout.__slots__})
        self.updates.append(batch_idx)


@pytest.mark.parametrize("n_envs", [1, 3])
@pytest.mark.parametrize(("env", "dims"), [("Pendulum-v1", (3, 1)), ("CartPole-v1", (4, 2))])
def test_stored_log_probabilities_and_states_are_those_of_the_policy_that_acted(
    env: str, dims: tuple[int, int], n_envs: int
) -> None:
    """Recomputed from the second step on: the first was acted by the policy before the update."""
    discrete, watch = env == "CartPole-v1", Watch()
    small: dict[str, Any] = {"rollout_steps": 40, "sequence_length": 8, "actor_lr": 1e-2, "n_envs": n_envs}
    agent = LiquidPPO(dims[0], 6, dims[1], discrete=discrete, device="cpu", seed=1, **small)
    policies: list[Any] = []

    class Keep(Callback):
        def on_train_batch_start(self, trainer: Any, agent: Any, batch: Any, batch_idx: int) -> None:
            policies.append(copy.deepcopy(agent.networks["actor"]))

    agent.train(env, 20, n_steps=125 * n_envs, callbacks=[watch, Keep()], **QUIET)
    assert watch.updates == [0, 1, 2]
    assert watch.rollouts[0]["reward"].shape == (1, n_envs, 40)
    assert agent.progress[0].update == 3
    for stored, policy in zip(watch.rollouts, policies, strict=True):
        skip = slice(1, None)
        obs, dt, start = (stored[n][:, :, skip] for n in ("obs", "dt", "start"))
        out, states, _ = policy.unroll((obs,), stored["hidden"][:, :, 1], dt, start > 0.5)
        action = stored["action"][:, :, skip]
        if discrete:
            expected = distributions.Categorical(logits=out).log_prob(action[..., 0])
            assert set(action.flatten().tolist()) == {0.0, 1.0}
        else:
            expected = distributions.Normal(out, policy.log_std[0].exp()).log_prob(action).sum(3)
        torch.testing.assert_close(stored["log_prob"][:, :, skip], expected, rtol=1e-4, atol=1e-4)
        hidden = stored["hidden"][:, :, 2:].masked_fill(stored["start"][:, :, 2:, None] > 0.5, 0.0)
        reached = states[:, :, :-1].masked_fill(stored["start"][:, :, 2:, None] > 0.5, 0.0)
        torch.testing.assert_close(hidden, reached, rtol=1e-4, atol=1e-5)


def test_predict_answers_whole_numbers_where_actions_are_discrete() -> None:
    agent = make(discrete=True)
    single, hidden = agent.predict([0.1, 0.2, 0.3])
    assert type(single) is int
    assert hidden.shape == (10,)
    many, _ = agent.predict(np.zeros((5, 3)), explore=True)
    assert (many.shape, many.dtype) == ((5,), np.int64)
    tensor, _ = agent.predict(torch.zeros(3))
    assert (tensor.shape, tensor.dtype) == ((), torch.int64)
    drawn, _ = agent.predict(np.zeros((4_000, 3)), explore=True)
    assert drawn.mean() == pytest.approx(0.5, abs=0.05)


def test_predict_is_the_mean_within_the_bounds_where_actions_are_continuous() -> None:
    agent = LiquidPPO(3, 6, 1, device="cpu", seed=0, initial_std=0.3)
    agent.adapt(gym.make("Pendulum-v1"))
    with torch.no_grad():
        agent.actor.get_parameter("head.bias").fill_(0.25)
    mean, _ = agent.predict([1.0, 0.0, 0.0])
    assert mean == pytest.approx(0.5, abs=0.05)
    drawn, _ = agent.predict(np.tile([1.0, 0.0, 0.0], (4_000, 1)), explore=True)
    assert drawn.std() == pytest.approx(0.6, rel=0.05)
    with torch.no_grad():
        agent.actor.get_parameter("head.bias").fill_(7.0)
    assert agent.predict([1.0, 0.0, 0.0])[0] == 2.0


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


def test_discrete_actions_from_end_to_end() -> None:
    env = FromFive()
    agent = LiquidPPO(
        1, 6, 3, discrete=True, device="cpu", seed=0, rollout_steps=64, sequence_length=4, actor_lr=0.01, critic_lr=0.01
    )
    result = agent.train(env, 16, n_steps=900, evaluate_every=85, evaluation_episodes=2, **QUIET)
    assert {int(action) for action in env.seen} == {5, 6, 7}
    assert np.mean(result.returns[0][-5:]) > np.mean(result.returns[0][:5]) + 2.0
    assert agent.predict([0.0])[0] == 7
    assert result.evaluations[-1].returns == (10.0, 10.0)


@pytest.mark.parametrize("discrete", [True, False])
def test_a_loaded_agent_acts_the_same_and_has_its_rollout(tmp_path: Path, discrete: bool) -> None:
    agent = make(discrete=discrete, critic="recurrent")
    fill(agent)
    learn(agent)
    fill(agent, seed=1)
    again = LiquidPPO.load(agent.save(tmp_path / "ep1", buffer=True), buffer=True, device="cpu")
    obs = np.random.default_rng(0).normal(size=(20, 3))
    np.testing.assert_array_equal(agent.predict(obs)[0], again.predict(obs)[0])
    for state in ("actor", "critic"):
        assert all(torch.equal(p, parameters(again, state)[n]) for n, p in parameters(agent, state).items())
    again.critic_hidden.copy_(agent.critic_hidden)  # which belongs to a run, and is resumed with it
    again.progress[0].update = agent.progress[0].update
    for one in (agent, again):
        learn(one)
    for name, value in parameters(agent, "actor").items():
        assert torch.equal(value, parameters(again, "actor")[name]), name


def test_a_checkpoint_with_other_actions_is_refused(tmp_path: Path) -> None:
    agent = LiquidPPO(1, 6, 3, discrete=True, device="cpu", seed=0)
    agent.adapt(FromFive())
    assert LiquidPPO.load(agent.save(tmp_path / "ok"), device="cpu").bounds == DiscreteActions(3, 5)
    agent.bounds = DiscreteActions(4)
    with pytest.raises(CheckpointError, match="environment: expected 3 discrete actions, got n_actions=4"):
        LiquidPPO.load(agent.save(tmp_path / "lie"), device="cpu")


def test_a_diverged_policy_is_reported() -> None:
    agent = make(discrete=True)
    with torch.no_grad():
        agent.actor.get_parameter("head.bias").fill_(float("nan"))
    with pytest.raises(
        NonFiniteError, match=r"policy: gave the action .*nan.*; its weights or its input have diverged"
    ):
        agent.predict([0.0, 0.0, 0.0])


# -------------------------------------------------------------------------------------------------- what it refuses

BAD: list[tuple[dict[str, Any], str]] = [
    ({"rollout_steps": 30, "sequence_length": 8}, "rollout_steps: expected a multiple of sequence_length (8), got 30"),
    ({"critic": "liquid"}, "critic: input should be 'dense' or 'recurrent', got 'liquid'"),
    ({"discrete": 1}, "discrete: input should be a valid boolean, got 1"),
    ({"clip_range": 0.0}, "clip_range: input should be greater than 0, got 0.0"),
    ({"gae_lambda": 1.1}, "gae_lambda: input should be less than or equal to 1, got 1.1"),
    ({"initial_std": 0.0}, "initial_std: input should be greater than 0, got 0.0"),
    ({"target_kl": -1.0}, "target_kl: input should be greater than 0, got -1.0"),
    ({"critic_units": (8, 0)}, "critic_units: expected layers of 1 to 65536 units, got (8, 0)"),
]


@pytest.mark.parametrize(("settings", "message"), BAD)
def test_bad_settings_are_named_in_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError) as error:
        make(**settings)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("settings", "env", "message"),
    [
        (
            {"discrete": True},
            "Pendulum-v1",
            r"Pendulum-v1: expected discrete actions, got Box\(.*; make the agent with",
        ),
        (
            {},
            "CartPole-v1",
            r"CartPole-v1: expected continuous .* got Discrete\(2\); .* make this agent with discrete=True",
        ),
        ({"discrete": True}, "Acrobot-v1", "Acrobot-v1: there are 3 actions, the agent chooses from action_dim=2"),
    ],
)
def test_environments_that_do_not_fit_are_named(settings: dict[str, Any], env: str, message: str) -> None:
    agent = LiquidPPO(gym.make(env).observation_space.shape[0], 6, 2, device="cpu", **settings)  # type: ignore[index]
    with pytest.raises(SpaceError, match=message):
        agent.train(env, 64, n_steps=10, **QUIET)


@pytest.mark.parametrize(
    ("batch_size", "message"),
    [
        (
            25,
            "batch_size: 25 is more than the 24 steps of a rollout; lower batch_size or raise rollout_steps or n_envs",
        ),
        (3, "batch_size: 3 steps hold no window of 4; raise batch_size or lower sequence_length"),
    ],
)
def test_minibatches_that_can_not_be_filled_are_refused(batch_size: int, message: str) -> None:
    with pytest.raises(SettingError) as error:
        make(action_dim=1).train("Pendulum-v1", batch_size, n_steps=10, **QUIET)
    assert str(error.value) == message


def test_more_seeds_than_memory_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("velora.core.ram.available_bytes", lambda: 10_000)
    with pytest.raises(
        SettingError, match=r"of memory for rollouts .*; train fewer seeds with a smaller rollout_steps"
    ):
        make(seed=None, seeds=range(9), rollout_steps=400)
