"""A simulated plant: physics by the clock, finer than the control step, with returns that compare."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from velora.core.errors import PlantError, SettingError, SpaceError
from velora.drive import SimulatedPlant
from velora.drive.simulated import fine_enough, refine, simulated

MS = 1_000_000


class Time:
    now = 0

    def __call__(self) -> int:
        return self.now


def pendulum(**more: Any) -> tuple[SimulatedPlant, Time]:
    time = Time()
    return SimulatedPlant(gym.make("Pendulum-v1"), clock=time, seed=3, **more), time


def test_physics_is_that_of_the_environment_and_follows_the_clock() -> None:
    plant, time = pendulum()
    env = gym.make("Pendulum-v1")
    expected, _ = env.reset(seed=3)
    first = plant.read()
    assert first is not None
    assert (first.begins, first.time_ns, first.obs.tolist()) == (True, 0, expected.tolist())
    assert plant.read() is None
    plant.write(np.array([1.5], np.float32))
    time.now = 160 * MS  # three control steps of 50 ms
    reading = plant.read()
    rewards = [env.step(np.array([1.5], np.float32)) for _ in range(3)]
    assert reading is not None
    assert (reading.time_ns, reading.obs.tolist()) == (150 * MS, rewards[-1][0].tolist())
    assert reading.reward == pytest.approx(sum(float(one[1]) for one in rewards))
    time.now = 199 * MS
    assert plant.read() is None


def test_an_action_counts_from_when_it_is_written() -> None:
    """Two steps of physics go by under the first action while the policy thinks, one under the next."""
    plant, time = pendulum()
    env = gym.make("Pendulum-v1")
    env.reset(seed=3)
    plant.read()
    plant.write(np.array([2.0], np.float32))
    time.now = 100 * MS
    plant.write(np.array([-2.0], np.float32))
    time.now = 150 * MS
    reading = plant.read()
    for torque in (2.0, 2.0, -2.0):
        expected, *_ = env.step(np.array([torque], np.float32))
    assert reading is not None
    assert reading.obs.tolist() == expected.tolist()


@pytest.mark.parametrize("env_id", ["Pendulum-v1", "CartPole-v1", "InvertedPendulum-v5", "Acrobot-v1"])
def test_finer_physics_is_the_same_world(env_id: str) -> None:
    """A control step in ten parts ends close to where it ends whole, earns the same, and episodes last as long."""
    found = []
    for n in (1, 10):
        env = gym.make(env_id)
        limit = int(env.get_wrapper_attr("_max_episode_steps"))
        if n > 1:
            refine(env, n)
        obs, _ = env.reset(seed=0)
        assert env.get_wrapper_attr("_max_episode_steps") == n * limit
        action = 1 if isinstance(env.action_space, gym.spaces.Discrete) else np.full(1, 0.1, np.float32)
        steps = [env.step(action) for _ in range(3 * n)]
        found.append((steps[-1][0] - obs, sum(float(step[1]) for step in steps) / n))
        env.close()
    assert np.abs(found[0][0] - found[1][0]).max() < 0.35 * np.abs(found[0][0]).max()
    assert found[1][1] == pytest.approx(found[0][1], rel=0.1, abs=0.05)


def test_an_episode_ends_and_the_next_begins() -> None:
    time = Time()
    plant = SimulatedPlant(gym.make("CartPole-v1"), physics=10, clock=time, seed=1)
    assert (plant.n_observations, plant.step_s, plant.physics_s) == (4, 0.02, 0.002)
    plant.read()
    plant.write(np.array([1]))
    time.now = 5_000 * MS  # the pole has dropped long before
    ended = plant.read()
    assert ended is not None
    assert (ended.terminated, ended.truncated) == (True, False)
    assert 5.0 < ended.reward < 20.0
    assert ended.time_ns < 500 * MS
    begun = plant.read()
    assert begun is not None
    assert (begun.begins, begun.time_ns, begun.reward) == (True, 5_000 * MS, 0.0)


def test_a_faster_world_and_the_previous_action() -> None:
    plant, time = pendulum(step_s=0.005, physics=10, shows_previous=True)
    assert (plant.n_observations, plant.physics_s) == (5, 0.0005)
    first = plant.read()
    assert first is not None
    assert first.obs[3:].tolist() == [0.0, 0.0]
    plant.write(np.array([-1.0], np.float32))
    time.now = 10 * MS
    reading = plant.read()
    assert reading is not None
    assert reading.obs[3] == -0.5
    assert reading.obs[4] == np.float32(reading.reward)


def test_fine_enough_for_a_rate() -> None:
    assert (fine_enough(200.0, 0.05), fine_enough(10.0, 0.05)) == (20, 10)
    plant = simulated(gym.make("Pendulum-v1"), 500.0)
    assert plant.physics_s == pytest.approx(0.001)


def test_what_can_not_be_simulated() -> None:
    with pytest.raises(SettingError, match="step_s: MountainCar-v0 doesn't say how long its control step is"):
        simulated(gym.make("MountainCar-v0"), 10.0)
    with pytest.raises(PlantError, match=r"MountainCar-v0 moves in steps of 0.1 s, .* expected at most rate=10"):
        simulated(gym.make("MountainCar-v0"), 20.0, step_s=0.1)
    assert simulated(gym.make("MountainCar-v0"), 10.0, step_s=0.1).physics_s == 0.1
    with pytest.raises(SettingError, match="physics: the steps of MountainCar-v0 can't be made shorter"):
        SimulatedPlant(gym.make("MountainCar-v0"), step_s=0.1, physics=2)
    with pytest.raises(SettingError, match="physics: expected at least 1"):
        SimulatedPlant(gym.make("Pendulum-v1"), physics=0)


def test_observations_of_any_space_are_made_flat_as_in_training() -> None:
    plant = SimulatedPlant(gym.make("FrozenLake-v1"), step_s=0.1)
    reading = plant.read()
    assert reading is not None
    assert (plant.n_observations, reading.obs.tolist()) == (16, [1.0, *[0.0] * 15])
    plant.close()


@pytest.mark.parametrize("step_s", [0.0, -1.0, float("nan")])
def test_a_control_step_has_a_length(step_s: float) -> None:
    with pytest.raises(SettingError, match="step_s: expected from 1e-06"):
        SimulatedPlant(gym.make("Pendulum-v1"), step_s=step_s)


def test_actions_that_no_agent_chooses_are_refused_in_a_line() -> None:
    class Panel(gym.Env[Any, Any]):
        observation_space, action_space = gym.spaces.Box(-1.0, 1.0, (3,)), gym.spaces.MultiDiscrete([2, 3])

    with pytest.raises(SpaceError, match=r"Panel: expected .*MultiDiscrete"):
        SimulatedPlant(Panel(), step_s=0.1)
