"""Learning while driving: another thread learns from what the loop does, and the loop acts by what it learned."""

from __future__ import annotations

import time
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from tests.unit.drive.test_controller import adapted
from velora.buffers import ReplayBuffer
from velora.core.errors import SettingError
from velora.drive import DriveSettings, LearningController, Loop, Reading, SimulatedPlant, VirtualClock
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidTD3


def learner(**settings: Any) -> Agent:
    own = {"seed": 1, "warmup_steps": 20, "buffer_size": 1000, **settings}
    return adapted(LiquidTD3(3, 12, 1, **own), "Pendulum-v1")


def drive(controller: LearningController, steps: int) -> SimulatedPlant:
    """Drive on a virtual clock, which waits at every tick until the learner has caught up."""
    clock = VirtualClock(lateness=lambda: _caught_up(controller))
    plant = SimulatedPlant(gym.make("Pendulum-v1", max_episode_steps=30), clock=clock.now, seed=2)
    found = Loop(controller, plant, DriveSettings(rate=20.0, steps=steps, step_s=0.05), clock=clock).run()
    assert found.ended == "finished"
    return plant


def _caught_up(controller: LearningController) -> int:
    until = time.monotonic() + 30.0
    while controller.waiting and time.monotonic() < until and not controller.problem:
        time.sleep(0.0002)
    return 0


def test_it_learns_from_what_it_does_and_acts_by_what_it_learned() -> None:
    agent = learner()
    before = agent.learner.flats["actor"].values.clone()
    controller = LearningController(agent, batch_size=16)
    controller.start()
    drive(controller, 120)
    controller.close()
    assert controller.problem == ""
    assert controller.n_dropped == 0
    assert controller.n_updates == agent.progress[0].update > 60
    assert not np.allclose(before, agent.learner.flats["actor"].values)
    controller.begin()
    reading = Reading(np.array([1.0, 0.0, 0.0], np.float32), 0)
    controller.act(reading, 1.0)
    acting = controller.acting.learner.flats["actor"].values
    assert np.array_equal(acting, agent.learner.flats["actor"].values)


def test_transitions_are_those_of_training() -> None:
    """What is stored of a drive: readings in a row, the time before each, episodes' ends and beginnings."""
    agent = learner(warmup_steps=10_000, time="input", cell="gru")
    controller = LearningController(agent, batch_size=16)
    controller.start()
    drive(controller, 95)
    controller.close()
    buffer = agent.experience.buffer
    assert isinstance(buffer, ReplayBuffer)
    n = buffer.size(0)
    rows = buffer.sample(np.zeros((1, 1)), n, agent.device)
    obs, next_obs, start = (getattr(rows, name)[0, 0].numpy() for name in ("obs", "next_obs", "start"))
    truncated, dt = rows.truncated[0, 0].numpy(), rows.dt[0, 0].numpy()
    assert n == 30 * 3 + 1  # an episode of 30 steps has 31 readings, and 95 - 3 * 31 of the fourth are there
    assert start.nonzero()[0].tolist() == [0, 30, 60, 90]
    assert truncated.nonzero()[0].tolist() == [29, 59, 89]
    inside = np.ones(n - 1, bool)
    inside[[29, 59, 89]] = False
    assert np.array_equal(next_obs[:-1][inside], obs[1:][inside])
    assert (dt == 1.0).all()
    assert (obs[:, -1] == 0.0).all()  # log(dt)
    assert (np.abs(rows.action.numpy()) <= 1.0).all()
    assert (rows.reward.numpy() < 0.0).all()
    assert agent.progress[0].step == n


def test_a_learner_that_falls_behind_makes_fewer_updates_and_drops_at_last() -> None:
    agent = learner()
    controller = LearningController(agent, batch_size=16)
    reading = Reading(np.array([1.0, 0.0, 0.0], np.float32), 0)
    for _ in range(1_201):  # the learner hasn't begun
        controller.act(reading, 1.0)
    assert (controller.waiting, controller.n_dropped) == (1_000, 200)
    controller.start()
    _caught_up(controller)
    controller.close()
    assert agent.experience.buffer.size(0) >= 999
    assert controller.n_updates <= 60


def test_nothing_is_learned_from_a_rehearsal() -> None:
    controller = LearningController(learner(), batch_size=16)
    for _ in range(50):
        controller.rehearse()
    assert controller.waiting == 0
    assert controller.agent.progress[0].step == 0


def test_who_can_not_learn_so() -> None:
    with pytest.raises(SettingError, match="learn: LiquidPPO learns from whole rollouts"):
        LearningController(adapted(LiquidPPO(3, 12, 1), "Pendulum-v1"))
    with pytest.raises(SettingError, match="batch_size: 2000 is more than the 1000 transitions"):
        LearningController(learner(), batch_size=2_000)
    with pytest.raises(SettingError, match="holds 2 seeds"):
        LearningController(LiquidDDPG(3, 12, 1, seeds=[0, 1]))


def test_a_policy_that_normalises_acts_with_the_statistics_that_were_learned() -> None:
    agent = learner(normalize_obs=True)
    controller = LearningController(agent, batch_size=16)
    controller.start()
    drive(controller, 60)
    controller.close()
    controller.begin()
    controller.act(Reading(np.array([1.0, 0.0, 0.0], np.float32), 0), 1.0)
    assert agent.normaliser is not None
    assert controller.acting.normaliser is not None
    learned, acting = agent.normaliser.tensors(), controller.acting.normaliser.tensors()
    assert float(acting["obs_count"]) >= float(learned["obs_count"]) - 1 > 20  # the last one came after an update
    assert np.allclose(learned["obs_mean"], acting["obs_mean"], atol=0.1)


def test_a_learner_that_meets_what_is_not_finite_ends_and_says_why() -> None:
    controller = LearningController(learner(), batch_size=16)
    controller.start()
    for k in range(200):
        controller.act(Reading(np.array([1.0, 0.0, 0.0], np.float32), k, reward=float("inf")), 1.0)
        _caught_up(controller)
    controller.close()
    assert "update" in controller.problem


def test_a_drive_that_goes_on_anew_is_no_continuation_of_what_it_learned_before() -> None:
    """The loop has it begin with a state of zeros, also where the plant's readings begin no episode."""
    agent = learner(warmup_steps=10_000)
    controller = LearningController(agent, batch_size=16)
    reading = Reading(np.array([1.0, 0.0, 0.0], np.float32), 0)
    controller.start()
    for _ in range(2):
        controller.begin()
        for _ in range(4):
            controller.act(reading, 1.0)
    controller.close()
    buffer: Any = agent.experience.buffer
    rows = buffer.sample(np.zeros((1, 1)), 6, agent.device)
    assert rows.start[0, 0].tolist() == [True, False, False, True, False, False]
    assert (rows.hidden[0, 0] == 0.0).all()
