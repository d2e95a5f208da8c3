"""The agent: what it learns from, what it answers, what it refuses."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor

from tests.shared import KERNELS
from tests.unit.models.experience import fill, learn, parameters
from tests.unit.nn.acting import step
from velora.buffers import Batch
from velora.core.errors import NonFiniteError, SettingError, ShapeError, SpaceError
from velora.models import LiquidDDPG, learner
from velora.models.recurrence import next_actions
from velora.nn.cells.registry import CELL_KINDS, VARIANTS
from velora.nn.networks import critics, policies
from velora.nn.run.autograd import TorchNetwork
from velora.nn.sequence import unroll_by_steps

CELLS = [
    {"cell": name.split()[0], **{{"mode": "cell_mode"}.get(key, key): value for key, value in options.items()}}
    for name, options in VARIANTS.items()
]


def make(**settings: Any) -> LiquidDDPG:
    return LiquidDDPG(3, 8, 2, **{"device": "cpu", "seed": 5, **settings})


def make_batch(agent: LiquidDDPG, *, batch: int = 6, seed: int = 0, n_seeds: int = 1) -> Batch:
    """Make windows of random transitions in which one episode ends inside."""
    g = torch.Generator().manual_seed(seed)
    length = agent.settings.burn_in + agent.settings.sequence_length
    shape = (n_seeds, batch, length)
    start = torch.zeros(shape, dtype=torch.bool)
    start[:, :, -1] = length > 2
    return Batch(
        obs=torch.randn(*shape, 3, generator=g),
        action=torch.rand(*shape, 2, generator=g) * 2 - 1,
        reward=torch.randn(*shape, generator=g),
        next_obs=torch.randn(*shape, 3, generator=g),
        terminated=(torch.rand(*shape, generator=g) < 0.3).float(),
        truncated=torch.zeros(shape),
        dt=torch.ones(shape),
        next_dt=torch.ones(shape),
        start=start,
        hidden=torch.randn(n_seeds, batch, agent.state_size, generator=g) * 0.3,
    )


@pytest.mark.parametrize("cell", CELLS, ids=lambda c: "-".join(map(str, c.values())))
def test_every_cell_trains_every_network_and_recurrent_weights_get_gradient(cell: dict[str, Any]) -> None:
    agent = make(sequence_length=3, burn_in=1, tau=0.5, grad_clip=None, **cell)
    seen: dict[str, float] = {}
    original = agent.optimize

    def spy(name: str, loss: Tensor, backward: Callable[[], None] | None = None) -> None:
        original(name, loss, backward)
        if name == "actor":
            seen.update({n: float(p.grad.abs().sum()) for n, p in agent.networks["actor"].named_parameters()})  # type: ignore[union-attr]

    agent.optimize = spy  # type: ignore[method-assign]
    before = {net: parameters(agent, net) for net in agent.networks}
    metrics = agent.training_step(make_batch(agent))
    assert set(metrics) == {"actor/loss", "critic/loss", "critic/q"}
    assert all(m.shape == (1,) and m.isfinite().all() for m in metrics.values())
    assert all(gradient > 0.0 for gradient in seen.values()), seen
    for net, old in before.items():
        assert any(not torch.equal(old[n], p) for n, p in parameters(agent, net).items()), net


@pytest.mark.parametrize("length", [1, 4])
def test_the_columns_that_read_the_old_state_get_gradient(length: int) -> None:
    agent = make(sequence_length=length, grad_clip=None, actor_lr=1e-9)
    agent.training_step(make_batch(agent))
    layers = agent.networks["actor"].cell.layers  # type: ignore[union-attr]
    for layer, inputs in zip(layers, (3, 5, 3), strict=True):  # type: ignore[arg-type]
        weight = next(p for n, p in layer.named_parameters() if n.endswith("weight"))
        assert weight.grad is not None
        assert weight.grad[:, :, inputs:].abs().sum() > 0.0


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("critic", ["dense", "liquid"])
def test_targets_bootstrap_by_hand(critic: str, kernel: str) -> None:
    """One update of the critic against the same arithmetic written out with autograd and torch's own Adam."""
    agent = make(
        kernel=kernel,
        critic=critic,
        sequence_length=1,
        gamma=0.9,
        tau=0.25,
        reward_scale=0.5,
        grad_clip=None,
        critic_lr=0.01,
    )
    twin = copy.deepcopy(agent.networks)
    batch = make_batch(agent)
    obs, action, next_obs = batch.obs[:, :, 0], batch.action[:, :, 0], batch.next_obs[:, :, 0]
    agent.training_step(batch)

    dt = torch.ones(1, 6)
    _, after = step(twin["target_actor"], obs, batch.hidden, dt)
    best, _ = step(twin["target_actor"], next_obs, after, dt)
    y = 0.5 * batch.reward[:, :, 0] + 0.9 * (1 - batch.terminated[:, :, 0]) * twin["target_critic"](next_obs, best)
    adam = torch.optim.Adam(twin["critic"].parameters(), lr=0.01)
    (twin["critic"](obs, action) - y.detach()).pow(2).mean().backward()
    adam.step()
    for name, parameter in twin["critic"].named_parameters():
        torch.testing.assert_close(parameters(agent, "critic")[name], parameter.detach(), rtol=1e-5, atol=1e-6)
        target = dict(twin["target_critic"].named_parameters())[name]
        mixed = 0.75 * target + 0.25 * parameter
        torch.testing.assert_close(parameters(agent, "target_critic")[name], mixed.detach(), rtol=1e-5, atol=1e-6)

    adam = torch.optim.Adam(twin["actor"].parameters(), lr=agent.settings.actor_lr)
    pi, _ = step(twin["actor"], obs, batch.hidden, dt)
    (-twin["critic"](obs, pi).mean()).backward(inputs=list(twin["actor"].parameters()))
    adam.step()
    for name, parameter in twin["actor"].named_parameters():
        torch.testing.assert_close(parameters(agent, "actor")[name], parameter.detach(), rtol=1e-4, atol=1e-6)


def test_learning_recomputes_the_hidden_states_of_acting() -> None:
    agent = make(warmup_steps=10**6, sequence_length=5, burn_in=2, buffer_size=500)
    env = gym.make("Pendulum-v1", max_episode_steps=17)
    wide = LiquidDDPG(3, 8, 1, device="cpu", seed=5, warmup_steps=10**6, sequence_length=5, burn_in=2, buffer_size=500)
    wide.train(env, 4, n_episodes=6, progress_bar=False, summary=False)
    del agent
    batch = wide.experience.buffer.sample(wide.draws.uniform("sampling", 32), 7, torch.device("cpu"))
    states, _ = wide.networks["actor"].states(batch.obs, batch.hidden, batch.dt, batch.start)  # type: ignore[operator]
    # What acting stored at every later step is what unrolling from the first stored state comes to.
    rows = {tuple(o.tolist()): h for o, h in _stored(wide)}
    checked = 0
    for b in range(32):
        for t in range(1, 7):
            expected = torch.zeros(wide.state_size) if batch.start[0, b, t] else states[0, b, t - 1]
            torch.testing.assert_close(rows[tuple(batch.obs[0, b, t].tolist())], expected, rtol=1e-5, atol=1e-6)
            checked += 1
    assert checked == 32 * 6
    assert batch.start.any()


def _stored(agent: LiquidDDPG) -> list[tuple[Tensor, Tensor]]:
    rows = agent.buffer.state_dict(0)["rows"][0]
    return [(row[:3], row[-agent.state_size :]) for row in rows]


def test_next_actions_step_aside_at_the_end_of_an_episode() -> None:
    agent = make(sequence_length=4)
    batch = make_batch(agent)
    actor = agent.networks["target_actor"]
    got = next_actions(agent.learner.networks["target_actor"], batch)
    hidden = batch.hidden
    for t in range(4):
        hidden = hidden.masked_fill(batch.start[:, :, t, None], 0.0)
        _, hidden = step(actor, batch.obs[:, :, t], hidden, batch.dt[:, :, t])
        expected, _ = step(actor, batch.next_obs[:, :, t], hidden, batch.next_dt[:, :, t])
        torch.testing.assert_close(got[:, :, t], expected)


def test_a_seed_among_three_learns_as_it_does_alone() -> None:
    together = make(seed=None, seeds=[4, 5, 6], sequence_length=2)
    alone = make(seed=5, sequence_length=2)
    one = make_batch(alone)
    three = Batch(**{n: getattr(one, n).repeat_interleave(3, 0) for n in Batch.__slots__})
    for _ in range(5):
        together.training_step(three)
        alone.training_step(one)
    taken = together.seed(1)
    for net in alone.networks:
        for (name, a), b in zip(parameters(alone, net).items(), parameters(taken, net).values(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5, msg=f"{net}.{name}")
    assert taken.seeds == (5,)


def test_a_frozen_seed_stays_while_its_neighbour_learns() -> None:
    agent = make(seed=None, seeds=[1, 2])
    batch = make_batch(agent, n_seeds=2)
    agent.training_step(batch)
    agent.learner.rows = (1,)
    before = parameters(agent, "actor")
    agent.training_step(batch)
    after = parameters(agent, "actor")
    assert all(torch.equal(before[n][0], after[n][0]) for n in before)
    assert any(not torch.equal(before[n][1], after[n][1]) for n in before)


def _filled(**settings: Any) -> LiquidDDPG:
    agent = make(seed=None, seeds=[1, 2, 3], warmup_steps=0, buffer_size=90, **settings)
    g = np.random.default_rng(0)
    for k in range(3):
        fill(agent, k, g, 100 + k)
    agent.configure_training()
    return agent


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("settings", [{}, {"sequence_length": 3, "burn_in": 2}, {"critic": "liquid"}, {"cell": "ltc"}])
@pytest.mark.some(5)
def test_a_replayed_update_is_the_update_bit_for_bit(settings: dict[str, Any], kernel: str) -> None:
    """On any number of threads, with a seed that has stopped, and after the learning rate was changed."""
    agents = [_filled(kernel=kernel, **settings) for _ in range(3)]
    stepwise, replayed, threaded = agents
    threaded.threads = 3
    stepwise.record = False
    stepwise.configure_training()
    assert [agent.experience.updates.is_recorded for agent in agents] == [False, True, True]
    for update in range(6):
        if update == 2:  # and not when another program is noted because other seeds learn
            for agent in agents:
                agent.optimizers["actor"].param_groups[0]["lr"] = 0.01
        results = [learn(agent, (0, 2) if update >= 4 else (0, 1, 2)) for agent in agents]
        for name, value in results[0].items():
            assert torch.equal(value[[0, 2]], results[1][name][[0, 2]]), name
    for net in stepwise.networks:
        for name, value in parameters(stepwise, net).items():
            assert torch.equal(value, parameters(replayed, net)[name]), (net, name)
            assert torch.equal(value, parameters(threaded, net)[name]), (net, name)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"sequence_length": 3, "burn_in": 2},
        {"critic": "liquid", "optimizer": "adamw"},
        {"cell": "leaky"},
        {"cell": "lstm"},
    ],
)
def test_every_kernel_learns_what_autograd_does(
    settings: dict[str, Any], kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reference has no plans, so that it goes through modules and single steps."""
    ours = _filled(kernel=kernel, **settings)
    monkeypatch.setattr(learner, "make_network", lambda module, flat, kernel: TorchNetwork(module, flat))
    for where in (policies, critics):
        monkeypatch.setattr(where, "unroll", unroll_by_steps)
    plain = _filled(kernel="torch", **settings)
    for _ in range(3):
        made, expected = learn(ours, (0, 1, 2)), learn(plain, (0, 1, 2))
        for name, value in made.items():
            torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5)
    for name, value in parameters(ours, "actor").items():
        torch.testing.assert_close(value, parameters(plain, "actor")[name], rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("kind", [list, np.asarray, torch.tensor])
def test_predict_answers_in_kind(kind: Any) -> None:
    agent = make()
    single, batch = kind([0.1, 0.2, 0.3]), kind([[0.1, 0.2, 0.3]] * 4)
    action, hidden = agent.predict(single)
    actions, hiddens = agent.predict(batch)
    expected = torch.Tensor if kind is torch.tensor else np.ndarray
    assert all(isinstance(x, expected) for x in (action, hidden, actions, hiddens))
    assert (action.shape, hidden.shape) == ((2,), (10,))
    assert (actions.shape, hiddens.shape) == ((4, 2), (4, 10))
    np.testing.assert_allclose(np.asarray(actions[2]), np.asarray(action), rtol=1e-6)
    again, _ = agent.predict(single)
    assert np.array_equal(np.asarray(again), np.asarray(action))
    later, _ = agent.predict(single, hidden)
    assert not np.array_equal(np.asarray(later), np.asarray(action))
    slow, _ = agent.predict(single, hidden, dt=3.0)
    assert not np.array_equal(np.asarray(slow), np.asarray(later))


def test_predict_is_in_the_units_of_the_environment() -> None:
    agent = LiquidDDPG(3, 6, 1, device="cpu", seed=0)
    inner, _ = agent.predict([1.0, 0.0, 0.0])
    agent.adapt(gym.make("Pendulum-v1"))
    outer, _ = agent.predict([1.0, 0.0, 0.0])
    np.testing.assert_allclose(outer, 2 * inner, rtol=1e-6)


def test_predict_explores_only_when_asked() -> None:
    agent, obs = make(noise_std=0.3), np.zeros((4000, 3))
    plain, _ = agent.predict(obs)
    noisy, _ = agent.predict(obs, explore=True)
    assert np.array_equal(agent.predict(obs)[0], plain)
    assert (noisy - plain).std() == pytest.approx(0.3, rel=0.1)
    assert np.abs(noisy).max() <= 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.0, 0.0],), r"expected a state of \(3,\) or \(B, 3\), got \(2,\)"),
        (([0.0] * 3, [0.0] * 4), r"expected a hidden state of \(10,\), got \(4,\)"),
        (([[0.0] * 3] * 2, np.zeros((1, 10))), r"expected a hidden state of \(2, 10\)"),
    ],
)
def test_predict_refuses_other_shapes(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        make().predict(*arguments)
    with pytest.raises(SettingError, match="expected dt from 1e-06 to 1e\\+06 control steps"):
        make().predict([0.0] * 3, dt=0.0)


def test_predict_refuses_what_is_not_finite_and_takes_what_only_adds_up_to_it() -> None:
    agent = make()
    for state in ([np.nan, 0.0, 0.0], [np.inf, -np.inf, 0.0], torch.tensor([[0.0, 0.0, 0.0], [0.0, np.nan, 0.0]])):
        with pytest.raises(
            NonFiniteError, match=r"^predict: expected a state of finite float32 numbers, got .*nan|inf"
        ):
            agent.predict(state)
    with pytest.raises(NonFiniteError, match="expected a hidden state of finite"):
        agent.predict([0.0] * 3, [np.nan] * 10)
    assert np.isfinite(agent.predict([3e38, 3e38, 0.0])[0]).all()


BAD: list[tuple[dict[str, Any], str]] = [
    ({"n_neurons": 2}, "n_neurons: input should be greater than or equal to 3, got 2"),
    ({"state_dim": 0}, "state_dim"),
    ({"action_dim": -1}, "action_dim"),
    ({"gamma": 1.5}, "gamma: input should be less than or equal to 1, got 1.5"),
    ({"gamma": float("nan")}, "gamma"),
    ({"actor_lr": float("inf")}, "actor_lr: input should be"),
    ({"critic_lr": -1e-3}, "critic_lr"),
    ({"actor_lr": "fast"}, "actor_lr: input should be a valid number, got 'fast'"),
    ({"tau": 0.0}, "tau"),
    ({"buffer_size": 0}, "buffer_size"),
    ({"buffer_size": 3, "sequence_length": 4}, "can't hold one window of 4 steps"),
    ({"critic_units": (64, 0)}, "critic_units"),
    ({"critic_units": ()}, "critic_units"),
    (
        {"cell": "rnn"},
        f"cell: input should be {', '.join(map(repr, CELL_KINDS[:-1]))} or {CELL_KINDS[-1]!r}, got 'rnn'",
    ),
    ({"cell": "gru", "cell_mode": "pure"}, "cell_mode"),
    ({"cell": "gru", "mixed_memory": True}, "mixed_memory"),
    ({"optimizer": "adamm"}, "did you mean 'adam'"),
    ({"wiring": "small world"}, "wiring: input should be 'ncp', 'random' or 'dense', got 'small world'"),
    ({"sparsity": 1.0}, "sparsity"),
    ({"noise_correlation": 1.0}, "noise_correlation"),
    ({"seed": -1}, "seed: expected a whole number"),
    ({"device": "cuda:77"}, "device: cuda:77 can't be used here"),
    ({"seed": None, "seeds": [1, 1]}, "none twice"),
    ({"seed": 1, "seeds": [2]}, "not both"),
]


@pytest.mark.parametrize(("settings", "message"), BAD, ids=lambda x: str(x)[:40])
def test_a_bad_setting_is_one_line_that_names_it(settings: dict[str, Any], message: str) -> None:
    sizes = {"state_dim": 3, "n_neurons": 8, "action_dim": 2, "device": "cpu", "seed": 0}
    with pytest.raises(SettingError) as error:
        LiquidDDPG(**{**sizes, **settings})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("env", "arguments", "error", "message"),
    [
        ("Pendulum-v1", {"batch_size": 1001}, SettingError, "batch_size: 1001 is more than the 1000 transitions"),
        ("Pendulum-v1", {"batch_size": 0}, SettingError, "batch_size: expected a whole number of at least 1, got 0"),
        ("Pendulum-v1", {"n_episodes": 2.5}, SettingError, "n_episodes"),
        ("Pendulum-v1", {"window_size": 0}, SettingError, "window_size"),
        ("Pendulum-v1", {"callbacks": ["x"]}, SettingError, "callbacks: expected instances"),
        ("InvertedPendulum-v5", {}, SpaceError, "observations have 4 numbers, the agent expects state_dim=3"),
        ("CartPole-v1", {}, SpaceError, "state_dim"),
        ("Pendulm-v1", {}, SpaceError, "did you mean 'Pendulum-v1'"),
    ],
)
def test_training_refuses_what_does_not_fit(
    tmp_path: Any, env: str, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    agent = LiquidDDPG(3, 8, 1, device="cpu", seed=0, buffer_size=1000)
    directory = tmp_path / "run"
    with pytest.raises(error, match=message) as caught:
        agent.train(env, **{"batch_size": 8, "run_dir": directory, **arguments})
    assert "\n" not in str(caught.value)
    assert not directory.exists()


def test_numpy_numbers_are_settings_too() -> None:
    sizes: tuple[Any, ...] = (np.int64(3), int(np.prod((2, 4))), np.int32(2))
    agent = LiquidDDPG(*sizes, gamma=np.float64(0.9), device="cpu", seed=0)
    assert type(agent.settings.state_dim) is int
    assert type(agent.settings.gamma) is float
