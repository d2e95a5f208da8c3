"""Normalised agents: their statistics beside NumPy's, what is normalised and what isn't, saving and resuming."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor

from tests.shared import KERNELS, QUIET
from velora.buffers import Rollout
from velora.callbacks import Callback
from velora.checkpoint import Checkpoint
from velora.checkpoint.schema import PARTS
from velora.core.errors import CheckpointError
from velora.core.types import Transition
from velora.envs import Environments
from velora.envs.wrappers import HoldAction
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidSAC, LiquidTD3
from velora.models.normalisation import Normaliser
from velora.models.standardising import RunningStatistics
from velora.training.evaluation import evaluate, evaluation_seeds

BOTH: dict[str, Any] = {"normalize_obs": True, "normalize_returns": True}
ENV = "Pendulum-v1"


def make(kind: Callable[..., Agent] = LiquidTD3, **settings: Any) -> Any:
    small: dict[str, Any] = {"warmup_steps": 20, "buffer_size": 300}
    if kind is LiquidPPO:
        small = {"rollout_steps": 24, "sequence_length": 4, "n_epochs": 2}
    seeds = {} if "seeds" in settings else {"seed": 1}
    return kind(3, 6, 1, **{**small, **BOTH, "device": "cpu", **seeds, **settings})


def told() -> gym.Env[Any, Any]:
    """Make an environment that tells how long its steps took, for agents that read it."""
    return HoldAction(gym.make(ENV), [1])


def trained(kind: type[Agent] = LiquidTD3, n_steps: int = 60, *, callbacks: Any = (), **settings: Any) -> Any:
    agent = make(kind, **settings)
    agent.train(told, 8, n_steps=n_steps, callbacks=list(callbacks), **QUIET)
    return agent


def tensors(agent: Agent) -> dict[str, Tensor]:
    assert agent.normaliser is not None
    return {name: tensor.clone() for name, tensor in agent.normaliser.tensors().items()}


def weights(agent: Agent) -> dict[str, Tensor]:
    return {f"{n}.{name}": t.clone() for n, net in agent.networks.items() for name, t in net.state_dict().items()}


def assert_same(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    for name, tensor in a.items():
        assert torch.equal(tensor, b[name]), name


class Lived(Callback):
    """Keep what the environments said."""

    def __init__(self) -> None:
        self.steps: list[Transition] = []

    def on_env_step(self, trainer: Any, agent: Any, transition: Transition) -> None:
        self.steps.append(transition)


def discounted(rewards: list[float], times: list[float], ends: list[bool], gamma: float) -> list[float]:
    """Sum up the rewards of each episode, as one would on paper; ``times`` is how long each step took."""
    sums, running, since = [], 0.0, 1.0
    for reward, time, is_end in zip(rewards, times, ends, strict=True):
        running = gamma**since * running + reward
        sums.append(running)
        running, since = (0.0, 1.0) if is_end else (running, time)
    return sums


# ------------------------------------------------------------------------------------------------------- statistics


def test_mean_and_variance_are_those_of_all_numbers() -> None:
    g = np.random.default_rng(0)
    numbers = g.normal([3.0, -200.0], [0.1, 50.0], (3, 101, 2))
    statistics = RunningStatistics(3, 2)
    ends = [0, 1, 2, 3, 10, 11, 60, 101]
    for begin, end in itertools.pairwise(ends):
        statistics.add((0, 1, 2), numbers[:, begin:end])
    np.testing.assert_allclose(statistics.mean, numbers.mean(1), rtol=1e-12)
    np.testing.assert_allclose(statistics.variance, numbers.var(1), rtol=1e-12)
    assert (statistics.count == 101).all()


def test_of_one_number_the_variance_is_zero_and_before_any_it_is_one() -> None:
    statistics = RunningStatistics(2, 1)
    statistics.add((1,), np.full((1, 1, 1), 7.0))
    assert statistics.mean.tolist() == [[0.0], [7.0]]
    assert statistics.variance.tolist() == [[1.0], [0.0]]
    assert statistics.factor[0, 0] == pytest.approx(1.0)


def test_seeds_stand_for_themselves() -> None:
    """To the bit: what a seed has met alone, and among others of which some stop."""
    g = np.random.default_rng(1)
    obs, reward = g.normal(5.0, 2.0, (4, 50, 3)), g.normal(-8.0, 3.0, (4, 50))
    dt, start = g.uniform(0.5, 4.0, (4, 50)), (g.random((4, 50)) < 0.1).astype(float)
    four, one = (Normaliser(n, 3, obs=True, returns=True, gamma=0.9) for n in (4, 1))
    for t in range(50):
        rows = (0, 1, 2, 3) if t < 20 else (1, 2)
        where, now = list(rows), slice(t, t + 1)
        four.count_observations(rows, obs[where, now])
        four.count_rewards(rows, *(lived[where, None, now] for lived in (reward, dt, start)))
        one.count_observations((0,), obs[2:3, now])
        one.count_rewards((0,), *(lived[2:3, None, now] for lived in (reward, dt, start)))
    for name, tensor in one.tensors().items():
        assert torch.equal(four.tensors()[name][2], tensor[0]), name
    assert four.tensors()["obs_count"].flatten().tolist() == [20, 50, 50, 20]


def test_sums_are_discounted_by_time_and_begin_with_an_episode() -> None:
    normaliser = Normaliser(1, 3, obs=False, returns=True, gamma=0.5)
    reward, dt, start = np.array([[4.0, 2.0, 1.0, 3.0]]), np.array([[1.0, 2.0, 1.0, 1.0]]), np.array([[1.0, 0, 0, 1]])
    sums = [4.0, 4.0 * 0.25 + 2.0, 3.0 * 0.5 + 1.0, 3.0]
    for t in ([0], [1, 2], [3]):
        normaliser.count_rewards((0,), *(lived[:, None, t] for lived in (reward, dt, start)))
    saved = normaliser.tensors()
    assert float(saved["return_running"]) == 3.0
    assert float(saved["return_mean"]) == pytest.approx(np.mean(sums))
    assert float(saved["return_variance"]) == pytest.approx(np.var(sums))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", [LiquidDDPG, LiquidSAC])
def test_an_agent_that_replays_counts_every_step_that_it_has_stored(kind: type[Agent], kernel: str) -> None:
    lived = Lived()
    agent = make(kind, seeds=[2, 3], kernel=kernel, time="both", gamma=0.9)
    agent.train(lambda: HoldAction(gym.make(ENV), [1, 2, 3]), 8, n_steps=170, callbacks=[lived], **QUIET)
    saved = tensors(agent)
    for k in range(2):
        obs = np.stack([step.obs[k, :3] for step in lived.steps]).astype(np.float64)
        ends = [bool(step.terminated[k] or step.truncated[k]) for step in lived.steps]
        assert any(ends)
        rewards, times = ([float(getattr(step, n)[k]) for step in lived.steps] for n in ("reward", "dt"))
        sums = discounted(rewards, times, ends, 0.9)
        np.testing.assert_allclose(saved["obs_mean"][k], obs.mean(0), rtol=1e-9)
        np.testing.assert_allclose(saved["obs_variance"][k], obs.var(0), rtol=1e-9)
        np.testing.assert_allclose(saved["return_mean"][k, 0], np.mean(sums), rtol=1e-6)
        np.testing.assert_allclose(saved["return_variance"][k, 0], np.var(sums), rtol=1e-5)
        assert saved["obs_count"][k] == saved["return_count"][k] == len(lived.steps)


def test_ppo_counts_the_rollouts_that_it_has_learned_from() -> None:
    lived = Lived()
    agent = trained(LiquidPPO, 90, callbacks=[lived], gamma=0.9)
    n = 3 * 24
    assert agent.progress[0].update == 3
    obs = np.stack([step.obs[0] for step in lived.steps[:n]]).astype(np.float64)
    rewards = [float(step.reward[0]) for step in lived.steps[:n]]
    sums = discounted(rewards, [1.0] * n, [False] * n, 0.9)
    saved = tensors(agent)
    np.testing.assert_allclose(saved["obs_mean"][0], obs.mean(0), rtol=1e-9)
    np.testing.assert_allclose(saved["obs_variance"][0], obs.var(0), rtol=1e-9)
    np.testing.assert_allclose(saved["return_variance"][0, 0], np.var(sums), rtol=1e-5)
    assert saved["obs_count"] == saved["return_count"] == n


class FailsLater(gym.Wrapper[Any, Any, Any, Any]):
    """An environment whose thirtieth step goes wrong."""

    steps = 0

    def step(self, action: Any) -> Any:
        self.steps += 1
        if self.steps == 30:
            raise OSError("a cable came loose")
        return super().step(action)


def test_a_step_that_failed_does_not_count() -> None:
    agent = make()
    with pytest.raises(OSError, match="cable"):
        agent.train(FailsLater(gym.make(ENV)), 8, n_steps=60, **QUIET)
    assert tensors(agent)["obs_count"] == tensors(agent)["return_count"] == agent.buffer.size(0) == 29


# -------------------------------------------------------------------------------------------- what is normalised


class Batches(Callback):
    """Keep what is learned from, and the statistics of that moment."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Tensor]] = []

    def on_train_batch_end(self, trainer: Any, agent: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        fields = {name: getattr(batch, name).clone() for name in ("obs", "next_obs", "reward", "hidden")}
        self.seen.append({**fields, **tensors(agent)})


def test_a_replayed_batch_is_normalised_with_the_statistics_of_today() -> None:
    """And the buffer keeps what the environment gave."""
    seen = Batches()
    agent = trained(LiquidTD3, 60, callbacks=[seen], time="both", gamma=0.9)
    rows = agent.buffer.state_dict(0)["rows"][0]
    raw = torch.from_numpy(np.float64(rows[:, :3]))  # of the first 60 steps, none of which has been overwritten
    batch, last = seen.seen[-1], len(rows) - 1
    mean, deviation = raw[:last].mean(0), raw[:last].std(0, correction=0)
    possible = ((raw - mean) / deviation).clamp(-10, 10).float()
    distance = (batch["obs"][0, :, 0, None, :3] - possible).abs().amax(2)
    assert (distance.amin(1) < 1e-4).all()
    assert (batch["obs"][0, :, 0, 3] == 0).all()  # the logarithm of a regular step
    columns = agent.buffer._columns
    rewards = rows[:, columns["reward"]].double()
    sums = discounted(rewards[:last, 0].tolist(), [1.0] * last, [False] * last, 0.9)
    possible = (rewards / np.std(sums)).clamp(-10, 10).float()
    assert ((batch["reward"][0, :, 0, None] - possible.T).abs().amin(1) < 1e-4).all()
    assert rewards.min() < -1.0


class Rollouts(Callback):
    """See that actions are as likely as when they were drawn, before anything is learned from them."""

    def __init__(self) -> None:
        self.apart: list[float] = []

    def on_train_batch_start(self, trainer: Any, agent: Any, batch: Rollout, batch_idx: int) -> None:
        run = agent.learner.networks["actor"]
        obs, hidden, dt = batch.obs.transpose(1, 2), batch.hidden[:, 0], batch.dt.transpose(1, 2)
        out = run.run(obs.reshape(1, -1, 1, 3), hidden=hidden, dt=dt.reshape(1, -1, 1)).out
        log_prob = agent.distribution(out.transpose(1, 2)).log_prob(batch.action)
        apart = (log_prob - batch.log_prob)[0, 0].abs()
        self.apart += apart[1:].tolist()  # the first action was drawn before the newest update


def test_a_rollout_is_learned_from_as_the_policy_saw_it() -> None:
    seen = Rollouts()
    trained(LiquidPPO, 200, callbacks=[seen])
    assert len(seen.apart) == 8 * 23
    assert max(seen.apart) < 1e-4


def test_what_is_far_away_is_clipped() -> None:
    normaliser = Normaliser(1, 2, obs=True, returns=False, gamma=0.9)
    normaliser.count_observations((0,), np.array([[[1.0, 5.0], [3.0, 5.0]]]))
    seen = normaliser.observations(torch.tensor([[[3.0, 5.0, -7.0], [400.0, 4.0, 0.5]]]))
    torch.testing.assert_close(seen, torch.tensor([[[1.0, 0.0, -7.0], [10.0, -10.0, 0.5]]]))


@pytest.mark.parametrize("kind", [LiquidTD3, LiquidPPO])
def test_predicting_and_evaluating_show_normalised_observations_and_count_nothing(kind: type[Agent]) -> None:
    agent = trained(kind, time="both", seed=3)
    plain = make(kind, time="both", normalize_obs=False, normalize_returns=False)
    for name, net in agent.networks.items():
        plain.networks[name].load_state_dict(net.state_dict())
    plain.learner.held.take_over()
    plain.bounds = agent.bounds
    before, obs = tensors(agent), np.array([[0.5, -0.2, 3.0], [1.0, 0.0, -1.0]], np.float32)
    mean, variance = (before[f"obs_{name}"].numpy() for name in ("mean", "variance"))
    by_hand = np.clip((obs - mean) / np.sqrt(variance + 1e-8), -10, 10)
    given, expected = agent.predict(obs, dt=2.0), plain.predict(by_hand, dt=2.0)
    for value, other in zip(given, expected, strict=True):
        np.testing.assert_allclose(value, other, rtol=1e-4, atol=1e-6)
    assert not np.allclose(given[0], plain.predict(obs, dt=2.0)[0])
    envs = Environments([told()], obs_dim=3, shows_time=True)
    returns = evaluate(agent, envs, evaluation_seeds(1))
    assert returns.max() < -100.0  # in the environment's units
    assert_same(before, tensors(agent))


def test_returns_stay_in_the_environment_s_units() -> None:
    agent = LiquidPPO(4, 6, 2, discrete=True, rollout_steps=24, n_epochs=1, device="cpu", seed=0, **BOTH)
    lived = Lived()
    result = agent.train("CartPole-v1", 8, n_episodes=5, callbacks=[lived], **QUIET)
    assert [float(step.reward[0]) for step in lived.steps] == [1.0] * len(lived.steps)
    assert sum(result.returns[0]) == len(lived.steps)


# ---------------------------------------------------------------------------------------------- the same every way


@pytest.mark.parametrize("kind", [LiquidDDPG, LiquidTD3, LiquidSAC])
def test_updates_are_the_same_bits_as_a_program_and_one_by_one(kind: type[Agent]) -> None:
    """Programs on one thread and on three, and with hooks that look into every update; lives differ in length."""
    one, *others = [make(kind, seeds=[1, 2]) for _ in range(3)]
    for agent, threads, callbacks in ((one, 1, []), (others[0], 3, []), (others[1], 1, [Looks()])):
        agent.progress[1].update = 1  # so that their policies are due in turns, where they have a delay
        agent.train(ENV, 8, n_steps=90, threads=threads, callbacks=callbacks, **QUIET)
    for other in others:
        assert_same(weights(one), weights(other))
        assert_same(tensors(one), tensors(other))


class Looks(Callback):
    def on_after_backward(self, trainer: Any, agent: Any) -> None:
        """Be there, so that no update can run as a program."""


@pytest.mark.parametrize("kind", [LiquidTD3, LiquidPPO])
def test_kernels_agree(kind: type[Agent]) -> None:
    first, *rest = [trained(kind, 50, kernel=kernel) for kernel in KERNELS]
    for other in rest:
        for name, value in weights(first).items():
            torch.testing.assert_close(value, weights(other)[name], rtol=1e-3, atol=1e-4)


def test_experience_on_a_device_leads_to_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    host = trained(LiquidTD3, 90, kernel="torch", seeds=[3, 4])
    monkeypatch.setattr(Agent, "keeps_on_device", True)
    there = trained(LiquidTD3, 90, kernel="torch", seeds=[3, 4])
    assert_same(weights(host), weights(there))
    assert_same(tensors(host), tensors(there))


@pytest.mark.parametrize("kind", [LiquidTD3, LiquidPPO])
def test_each_of_the_two_alone(kind: type[Agent]) -> None:
    for name, kept in (("normalize_obs", "obs"), ("normalize_returns", "return")):
        agent = trained(kind, **{**dict.fromkeys(BOTH, False), name: True})
        assert {tensor.split("_")[0] for tensor in tensors(agent)} == {kept}
        assert all(value.isfinite().all() for value in weights(agent).values())


def test_nothing_is_kept_by_default() -> None:
    assert LiquidTD3(3, 6, 1, device="cpu").normaliser is None


# -------------------------------------------------------------------------------------------------- saving, resuming


def test_a_seed_takes_its_statistics_along(tmp_path: Path) -> None:
    many = trained(seeds=[5, 6, 7])
    one = many.seed(1)
    assert_same(tensors(one), {name: tensor[1:2] for name, tensor in tensors(many).items()})
    loaded = LiquidTD3.load(one.save(tmp_path / "ep1"), device="cpu")
    assert_same(tensors(one), tensors(loaded))
    obs = np.array([0.3, 0.4, 5.0])
    assert np.array_equal(one.predict(obs)[0], loaded.predict(obs)[0])
    saved = Checkpoint.open(tmp_path / "ep1").read("model_state")
    names = {name for name in saved if name.startswith("normaliser.")}
    assert names == {f"normaliser.{name}" for name in tensors(one)}
    assert saved["normaliser.obs_mean"].shape == (1, 3)
    one.train(ENV, 8, n_steps=10, **QUIET)
    assert tensors(one)["obs_count"] == tensors(loaded)["obs_count"] + 10
    assert_same(tensors(loaded), {name: tensor[1:2] for name, tensor in tensors(many).items()})


def rewritten(agent: Agent, directory: Path, change: Any) -> Path:
    """Save an agent, and write it anew with right digests and something else in it."""
    good = Checkpoint.open(agent.save(directory / "good"))
    document = good.metadata.document()
    document.pop("files")
    parts = {part: good.read(part) for part in PARTS[:2]}
    change(document["settings"], parts["model_state"])
    Checkpoint.write(directory / "other", metadata=document, tensors=parts)
    return directory / "other"


def test_a_checkpoint_from_before_there_were_these_settings_loads(tmp_path: Path) -> None:
    agent = make(normalize_obs=False, normalize_returns=False)
    old = rewritten(agent, tmp_path, lambda settings, _: [settings.pop(name) for name in BOTH])
    loaded = LiquidTD3.load(old, device="cpu")
    assert loaded.normaliser is None
    assert_same(weights(agent), weights(loaded))
    assert make(normalize_obs=False, normalize_returns=False).restore(Checkpoint.open(old), buffer=False) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("obs_variance", torch.tensor([[1.0, -0.5, 1.0]], dtype=torch.float64)),
        ("return_variance", torch.full((1, 1), -1e-9, dtype=torch.float64)),
        ("obs_count", torch.full((1, 1), -1.0, dtype=torch.float64)),
        ("return_count", None),
        ("obs_mean", None),
        ("obs_mean", torch.zeros(1, 4, dtype=torch.float64)),
        ("obs_mean", torch.zeros(1, 3)),
    ],
)
def test_statistics_that_do_not_match_are_refused(tmp_path: Path, name: str, value: Tensor | None) -> None:
    def change(_: Any, model_state: dict[str, Tensor]) -> None:
        model_state.pop(f"normaliser.{name}")
        if value is not None:
            model_state[f"normaliser.{name}"] = value

    _refused(rewritten(trained(), tmp_path, change), f"normaliser.{name}")


def test_statistics_that_are_not_finite_are_neither_saved_nor_loaded(tmp_path: Path) -> None:
    agent = trained()
    assert agent.normaliser is not None
    agent.normaliser.tensors()["return_mean"][...] = math.inf
    with pytest.raises(CheckpointError, match=r"normaliser\.return_mean: expected finite"):
        agent.save(tmp_path / "ep1")


def _refused(checkpoint: Path, named: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        LiquidTD3.load(checkpoint, device="cpu")
    assert named in str(caught.value)
    assert str(checkpoint) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", [True, False])
def test_normalising_is_neither_begun_nor_ended_by_a_resume(tmp_path: Path, given: bool) -> None:
    saved = Checkpoint.open(make(normalize_obs=not given).save(tmp_path / "ep1"))
    with pytest.raises(CheckpointError, match=f"make it with normalize_obs={not given}$"):
        make(normalize_obs=given).restore(saved, buffer=False)
