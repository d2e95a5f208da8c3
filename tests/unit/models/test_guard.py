"""A loss or a gradient that isn't finite makes no step: nothing of its seed moves, and the others don't notice."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import pytest
import torch

from tests.shared import KERNELS, QUIET
from velora import kernels
from velora.callbacks import Callback
from velora.core.errors import NonFiniteError
from velora.kernels.backend import AdamState
from velora.models import LiquidDDPG, LiquidTD3
from velora.models.experience.dataset import DataSet

NAN, INF = float("nan"), float("inf")


def make(*seeds: int, **settings: Any) -> LiquidTD3:
    small = {"warmup_steps": 10, "buffer_size": 100, "critic_units": (8, 8), "device": "cpu"}
    return LiquidTD3(3, 4, 1, seeds=seeds, **{**small, **settings})


def moving(agent: Any, k: int) -> dict[str, torch.Tensor]:
    kept = {name: flat.values[k] for name, flat in agent.learner.flats.items()} | agent.learner.optimizer_state(k)
    return {name: value.clone() for name, value in kept.items()}


def assert_same(now: dict[str, torch.Tensor], before: dict[str, torch.Tensor]) -> None:
    assert now.keys() == before.keys()
    for name, value in now.items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("kernel", KERNELS)
def test_judging_is_kept_and_steps_look_at_it(kernel: str) -> None:
    backend, every = kernels.make_backend(kernel), range(5)
    loss, norms = torch.tensor([1.0, NAN, 1.0, -INF, 3e38]), torch.tensor([0.0, 1.0, INF, 1.0, 3e38])
    sound = torch.ones(5)
    backend.judge(loss, norms, sound, rows=every)
    assert sound.tolist() == [1.0, 0.0, 0.0, 0.0, 1.0]
    backend.judge(torch.zeros(5), torch.zeros(5), sound, rows=every)
    assert sound.tolist() == [1.0, 0.0, 0.0, 0.0, 1.0]
    only = torch.ones(5)
    backend.judge(loss, norms, only, rows=[0, 1])
    assert only.tolist() == [1.0, 0.0, 1.0, 1.0, 1.0]

    rates = torch.tensor([0.1, 0.9, 0.999, 1e-8, 0.01], dtype=torch.float64)
    g = torch.randn(5, 7)
    g[1:4] = NAN
    for steps in (0.0, 3.0):
        memory = [torch.rand(5, 7) for _ in range(3)]
        before = [m.clone() for m in memory]
        counts = torch.full((5,), steps, dtype=torch.float64)
        backend.adam(AdamState(memory[0], g, memory[1], memory[2], counts, sound, rates), rows=every)
        assert counts.tolist() == [steps + 1, steps, steps, steps, steps + 1]
        for now, old in zip(memory, before, strict=True):
            assert torch.equal(now[1:4], old[1:4])
            assert not (now[[0, 4]] == old[[0, 4]]).all()
            assert now.isfinite().all()
    target, source = torch.rand(5, 7), g.clone()
    old = target.clone()
    backend.follow(target, source, sound, tau=0.5, rows=every)
    assert torch.equal(target[1:4], old[1:4])
    torch.testing.assert_close(target[[0, 4]], (old + 0.5 * (source - old))[[0, 4]])


class BreakGradient(Callback):
    """Put NaN into the gradient of one seed once, in one of the hooks between backward and the step."""

    def __init__(self, hook: str) -> None:
        self.n_calls = 0
        self.before: list[dict[str, torch.Tensor]] = []
        setattr(self, hook, self._break)

    def on_after_backward(self, trainer: Any, agent: Any) -> None:
        """Be known as a hook."""

    def on_before_optimizer_step(self, trainer: Any, agent: Any, optimizer: Any) -> None:
        """Be known as a hook."""

    def _break(self, trainer: Any, agent: Any, *more: Any) -> None:
        self.n_calls += trainer.update == 5  # critic_1, critic_2, and maybe the actor
        if trainer.update == 5 and self.n_calls == 2:
            self.before = [moving(agent, k) for k in range(agent.n_seeds)]
            agent.learner.flats["critic_2"].gradient[1, 3] = NAN


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop"])
@pytest.mark.parametrize("hook", ["on_after_backward", "on_before_optimizer_step"])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.some(8)
def test_a_gradient_that_is_not_finite_is_named_and_not_used(kernel: str, hook: str, optimizer: str) -> None:
    agent, broken = make(4, 9, kernel=kernel, optimizer=optimizer), BreakGradient(hook)
    result = agent.train("Pendulum-v1", 4, n_steps=40, callbacks=[broken], **QUIET)
    assert result.stop_reasons[0] is None
    assert result.stop_reasons[1] is not None
    assert "update 6: the gradient of the critic_2 has the norm nan" in result.stop_reasons[1]
    assert result.lost == [1]
    assert_same(moving(agent, 1), broken.before[1])
    assert any(not torch.equal(v, broken.before[0][n]) for n, v in moving(agent, 0).items())
    assert (agent.progress[0].step, agent.progress[1].step) == (40, 20 - 4)


class FalseReward(gym.Wrapper[Any, Any, Any, Any]):
    def step(self, action: Any) -> Any:
        obs, _, *rest = super().step(action)
        return obs, self.reward, *rest

    reward = 1e30


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("clip", [1.0, None], ids=["clipped", "unclipped"])
def test_a_loss_that_overflows_is_named(kernel: str, clip: float | None) -> None:
    agent = make(0, kernel=kernel, grad_clip=clip, reward_scale=1.0)
    with pytest.raises(NonFiniteError, match=r"^seed 0: after \d+ steps: update 1: critic_1/loss is inf; that step"):
        agent.train(FalseReward(gym.make("Pendulum-v1")), 4, n_steps=40, **QUIET)
    assert not agent.learner.optimizer_state(0)  # no step was made


def test_training_again_begins_with_sound_seeds() -> None:
    agent = make(0)
    agent.train("Pendulum-v1", 4, n_steps=40, **QUIET)
    weights = agent.learner.flats["critic_1"].values.clone()
    agent.learner.guard.sound.zero_()
    agent.train("Pendulum-v1", 4, n_steps=10, **QUIET)
    assert not torch.equal(weights, agent.learner.flats["critic_1"].values)


def test_learning_from_a_data_set_stops_at_a_nan() -> None:
    agent = make(3)
    agent.train("Pendulum-v1", 4, n_steps=40, **QUIET)
    replay: Any = agent.buffer
    replay._rows[:, :, replay._columns["reward"]] = NAN
    before = moving(agent, 0)
    with pytest.raises(NonFiniteError, match=r"^dataset: seed 3, update \d+: critic_1/loss is nan, for reward of the"):
        DataSet(agent, replay).learn(4, n_updates=3)
    assert_same(moving(agent, 0), before)


@pytest.mark.skipif(not kernels.extension, reason="the native kernel isn't built here")
def test_a_seed_goes_on_to_the_bit_while_another_meets_nan() -> None:
    class Poison(Callback):
        def on_env_step(self, trainer: Any, agent: Any, transition: Any) -> None:
            if trainer.step == 25:
                agent.buffer._rows[0, :, agent.buffer._columns["reward"]] = NAN

    among, alone = make(4, 9, kernel="native"), make(9, kernel="native")
    result = among.train("Pendulum-v1", 4, n_steps=60, callbacks=[Poison()], **QUIET)
    alone.train("Pendulum-v1", 4, n_steps=60, **QUIET)
    assert result.lost == [0]
    assert_same(moving(among, 1), moving(alone, 0))
    assert among.progress[1] == alone.progress[0]


def test_guarding_takes_nothing_from_a_step_that_is_sound() -> None:
    """It is judged in one call of the program for each network."""
    agent = LiquidDDPG(3, 4, 1, warmup_steps=10, buffer_size=100, device="cpu", seed=0, kernel="numpy")
    agent.train("Pendulum-v1", 4, n_steps=30, **QUIET)
    update = next(iter(agent.learner._programs.values()))
    assert [judged.network for judged in update.judged] == ["critic", "actor"]
    assert not agent.learner.guard.faults
