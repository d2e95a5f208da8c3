"""Schedules: their course, that they reach the agent, and that a resume goes on with them to the same bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.callbacks.small_run import final, make, resumed_is_whole, train
from velora.callbacks import Callback, SaveCheckpoints, Schedule
from velora.core.errors import SettingError
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidSAC, LiquidTD3


def test_linear_cosine_exponential_and_constant() -> None:
    def values(shape: str) -> list[float]:
        schedule = Schedule("actor_lr", start=1.0, end=0.01, steps=4, shape=shape, delay=2, every=1)
        return [schedule.value(step) for step in (0, 2, 3, 4, 6, 100)]

    assert values("linear") == pytest.approx([1.0, 1.0, 0.7525, 0.505, 0.01, 0.01])
    assert values("cosine") == pytest.approx([1.0, 1.0, 0.855018, 0.505, 0.01, 0.01], abs=1e-6)
    assert values("exponential") == pytest.approx([1.0, 1.0, 0.316228, 0.1, 0.01, 0.01], abs=1e-6)
    assert values("constant") == [1.0, 1.0, 1.0, 1.0, 0.01, 0.01]


def test_a_warm_up_rises_from_nothing() -> None:
    schedule = Schedule("actor_lr", start=0.8, warmup=4, every=1)
    assert [schedule.value(step) for step in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8])


def test_between_two_changes_the_value_stays() -> None:
    schedule = Schedule("actor_lr", start=0.0, end=10.0, steps=10, every=5)
    assert [schedule.value(step) for step in (0, 4, 5, 9, 10)] == [0.0, 0.0, 5.0, 5.0, 10.0]


class Watch(Callback):
    """Note what the optimizers and the noise are at every step."""

    def __init__(self) -> None:
        self.rates: list[tuple[float, float]] = []
        self.noise: list[float] = []

    def on_step_end(self, trainer: Any, agent: Any) -> None:
        rates = agent.current_learning_rates()
        self.rates.append((rates["actor"], rates["critic"]))
        self.noise.append(float(agent.exploration._std[0, 0]))


def test_a_learning_rate_is_that_of_its_networks_alone() -> None:
    watch, agent = Watch(), make()
    train(Schedule("actor_lr", start=0.1, end=0.2, steps=10, every=1), watch, agent=agent, n_episodes=2)
    assert [actor for actor, _ in watch.rates[:10]] == pytest.approx([0.11, 0.12, 0.13, 0.14, 0.15, 0.16, 0.17, 0.18,
                                                                      0.19, 0.2])  # fmt: skip
    assert {critic for _, critic in watch.rates} == {1e-3}
    assert agent.settings.actor_lr == 3e-4  # which checkpoints hold


def test_the_next_training_begins_with_the_agents_own_settings() -> None:
    agent, watch = make(), Watch()
    train(Schedule("actor_lr", start=0.1), Schedule("noise_std", start=0.9), agent=agent, n_episodes=1)
    train(watch, agent=agent, n_episodes=1)
    assert set(watch.rates) == {(3e-4, 1e-3)}
    assert watch.noise == pytest.approx([0.3] * 6)


def test_the_noise_follows() -> None:
    watch = Watch()
    train(Schedule("noise_std", start=0.5, end=0.0, steps=4, every=1), watch, n_episodes=1)
    assert watch.noise == pytest.approx([0.375, 0.25, 0.125, 0.0, 0.0, 0.0])


def weights(agent: Agent) -> list[torch.Tensor]:
    return [value.detach().clone() for net in agent.networks.values() for value in net.parameters()]


OF_UPDATES: list[tuple[type[Agent], str, float]] = [
    *((LiquidDDPG, name, value) for name, value in
      (("gamma", 0.5), ("tau", 0.5), ("reward_scale", 3.0), ("grad_clip", 1e-3))),
    (LiquidTD3, "target_noise", 0.9), (LiquidTD3, "target_noise_clip", 0.01), (LiquidSAC, "target_entropy", 3.0),
    (LiquidPPO, "gae_lambda", 0.1), (LiquidPPO, "clip_range", 1e-3), (LiquidPPO, "entropy_bonus", 2.0),
    (LiquidPPO, "target_kl", 1e-9),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "setting", "value"), OF_UPDATES, ids=lambda one: getattr(one, "__name__", str(one)))
def test_a_setting_of_updates_is_as_if_the_agent_had_been_made_with_it(
    kind: type[Agent], setting: str, value: float
) -> None:
    """From the first step on: to the same bits, recorded or step by step, and others than without."""
    own = {"rollout_steps": 8, "sequence_length": 2} if kind is LiquidPPO else {}
    plain, made, scheduled = make(kind, **own), make(kind, **own, **{setting: value}), make(kind, **own)
    train(agent=plain, n_episodes=4)
    train(agent=made, n_episodes=4)
    train(Schedule(setting, start=value), agent=scheduled, n_episodes=4)
    assert all(map(torch.equal, weights(scheduled), weights(made)))
    assert not all(map(torch.equal, weights(scheduled), weights(plain)))


def test_every_setting_that_is_read_at_every_update_is_tested() -> None:
    live = {one.name for kind in (LiquidDDPG, LiquidTD3, LiquidSAC, LiquidPPO) for one in kind.settings_type.options()
            if one.live}  # fmt: skip
    assert live == {name for _, name, _ in OF_UPDATES}


@pytest.mark.parametrize(
    "schedules",
    [
        lambda: [Schedule("actor_lr", start=1e-3, end=1e-2, steps=30, every=1, warmup=5)],
        lambda: [Schedule("noise_std", start=0.5, end=0.1, steps=30, every=1, shape="cosine")],
        lambda: [
            Schedule("gamma", start=0.9, end=0.99, steps=30, every=4),
            Schedule("tau", start=0.5, end=0.1, steps=9),
        ],
    ],
    ids=["learning rate", "noise", "update"],
)
def test_a_resume_goes_on_to_the_same_bits(schedules: Callable[[], list[Callback]], tmp_path: Path) -> None:
    assert resumed_is_whole(tmp_path, schedules)


def test_seeds_that_stand_at_different_steps_have_values_of_their_own(tmp_path: Path) -> None:
    """As after a kill: one seed goes on from episode 2, the other from episode 4."""

    def seeds() -> Agent:
        return make(seeds=[1, 2])

    def schedules() -> list[Callback]:
        courses = {"gamma": (0.5, 0.99), "actor_lr": (1e-3, 0.1), "noise_std": (0.5, 0.0)}
        return [Schedule(name, start=start, end=end, every=1, steps=36) for name, (start, end) in courses.items()]

    def saving(name: str) -> SaveCheckpoints:
        return SaveCheckpoints(tmp_path / name, frequency=1)

    train(*schedules(), saving("whole"), agent=seeds())
    train(*schedules(), saving("cut"), agent=seeds(), n_episodes=4)
    for name in ("ep3", "ep4", "final"):
        for part in sorted((tmp_path / "cut" / "seed1" / name).iterdir()):
            part.unlink()
        (tmp_path / "cut" / "seed1" / name).rmdir()
    train(*schedules(), saving("cut"), agent=seeds(), resume=tmp_path / "cut")
    assert final(tmp_path / "whole") == final(tmp_path / "cut")


def test_what_can_t_be_scheduled_is_refused_before_the_first_step() -> None:
    def refusal(*arguments: Any, agent: Agent | None = None, **more: Any) -> str:
        with pytest.raises(SettingError) as error:
            train(Schedule(*arguments, **more), agent=agent)
        return str(error.value)

    assert "LiquidDDPG has no setting 'actr_lr'; did you mean actor_lr?" in refusal("actr_lr", start=1.0)
    assert "buffer_size is read when training begins" in refusal("buffer_size", start=5)
    assert refusal("gamma", start=0.9, end=1.5) == "gamma: input should be less than or equal to 1, got 1.5"
    changing = make(noise_final_std=0.1)
    assert "noise_std changes already" in refusal("noise_std", start=0.5, agent=changing)
    assert "has no setting 'noise_std'" in refusal("noise_std", start=0.5, agent=make(LiquidSAC))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"start": "x"}, "schedule.start: expected a finite number, got 'x'"),
        ({"start": 1.0, "steps": 0}, "schedule.steps: expected a whole number >= 1, got 0"),
        ({"start": 1.0, "shape": "cosin"}, "did you mean 'cosine'?"),
        ({"start": 1.0, "end": 0.0, "shape": "exponential"}, "needs numbers above 0"),
    ],
)
def test_bad_settings(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SettingError, match=complaint.replace("?", r"\?")):
        Schedule("actor_lr", **settings)
