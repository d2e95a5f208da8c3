"""How long a step took: what environments may say about it, and what they may not."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from velora.core.errors import SpaceError
from velora.envs import Environments
from velora.envs.vector import Step

NO_INFO: dict[str, Any] = {}


class Told(gym.Env[Any, Any]):
    """Say what it is told to say: ``infos`` of reset and of every step."""

    observation_space, action_space = gym.spaces.Box(-1.0, 1.0, (1,)), gym.spaces.Box(-1.0, 1.0, (1,))

    def __init__(self, *infos: dict[str, Any], dt: Any = None) -> None:
        self.infos = list(infos)
        if dt is not None:
            self.dt = dt

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return np.zeros(1), self.infos.pop(0)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return np.zeros(1), 0.0, False, False, self.infos.pop(0)


def times(*infos: dict[str, Any], dt: Any = None) -> list[float]:
    """Return the dt of every step of an environment that says this."""
    envs = Environments([gym.Wrapper(Told(*infos, dt=dt))], obs_dim=1)
    envs.reset(0, seed=1)
    return [envs.step(0, np.zeros(1, np.float32)).dt for _ in infos[1:]]


def test_a_step_of_which_nothing_is_said_took_one() -> None:
    assert times(NO_INFO, NO_INFO, {"x": 3.0}) == [1.0, 1.0]
    assert Step(np.zeros(1), 0.0, False, False).dt == 1.0


def test_time_that_an_agent_learns_to_read_has_to_be_told() -> None:
    told = Told(NO_INFO, {"dt": 2.0}, NO_INFO)
    envs = Environments([told], obs_dim=1, shows_time=True, needs_time=True)
    envs.reset(0, seed=1)
    assert envs.step(0, np.zeros(1, np.float32)).dt == 2.0
    message = r'^environment 0: gave no info\["dt"\] at a step.*time="gate".*env\.time\.hold=\[1\].*HoldAction[^\n]*$'
    with pytest.raises(SpaceError, match=message):
        envs.step(0, np.zeros(1, np.float32))


def test_an_agent_that_has_learned_is_warned_once_where_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    envs = Environments([Told(*[NO_INFO] * 3), Told(*[NO_INFO] * 2)], obs_dim=1, shows_time=True)
    for index, n_steps in ((0, 2), (1, 1)):
        envs.reset(index, seed=1)
        for _ in range(n_steps):
            assert envs.step(index, np.zeros(1, np.float32)).dt == 1.0
            assert envs.obs[index, -1] == 0.0
    assert ["taken for regular ones" in line for line in caplog.messages] == [True]


def test_dt_is_in_control_steps() -> None:
    assert times({"dt": 9.0}, {"dt": 2}, {"dt": np.float32(0.5)}, NO_INFO) == [2.0, 0.5, 1.0]


def test_timestamps_are_seconds_since_the_observation_before() -> None:
    stamps = [{"timestamp": at} for at in (10.0, 10.25, 10.5, np.float64(11.5))]
    assert times(*stamps, dt=0.25) == [1.0, 1.0, 4.0]
    assert times(*stamps[:2], {"timestamp": 99.0, "dt": 3.0}, dt=0.5) == [0.5, 3.0]


def test_every_episode_has_its_own_time() -> None:
    env = Told({"timestamp": 1.0}, {"timestamp": 2.0}, {"timestamp": 9.0}, {"timestamp": 9.5}, NO_INFO, NO_INFO, dt=0.5)
    envs, found = Environments([env], obs_dim=1), []
    for _ in range(3):
        envs.reset(0, seed=1)
        found.append(envs.step(0, np.zeros(1, np.float32)).dt)
    assert found == [2.0, 1.0, 1.0]


def test_pendulum_and_mujoco_state_their_control_step() -> None:
    class Stamped(gym.Wrapper[Any, Any, Any, Any]):
        def reset(self, **settings: Any) -> Any:
            obs, _ = self.env.reset(**settings)
            return obs, {"timestamp": 0.0}

        def step(self, action: Any) -> Any:
            return *self.env.step(action)[:4], {"timestamp": 0.2}

    for env_id, size, expected in [("Pendulum-v1", 3, 4.0), ("InvertedPendulum-v5", 4, 5.0)]:
        envs = Environments([Stamped(gym.make(env_id))], obs_dim=size)
        envs.reset(0, seed=1)
        assert envs.step(0, np.zeros(1, np.float32)).dt == pytest.approx(expected)


@pytest.mark.parametrize(
    ("infos", "dt", "message"),
    [
        ([NO_INFO, {"dt": 0.0}], None, r'from 1e-06 to 1e\+06 control steps, got 0 from info\["dt"\] 0.0'),
        ([NO_INFO, {"dt": -1.0}], None, "got -1 from"),
        ([NO_INFO, {"dt": float("nan")}], None, "got nan from"),
        ([NO_INFO, {"dt": float("inf")}], None, "got inf from"),
        ([NO_INFO, {"dt": "long"}], None, "expected a number as dt, got 'long'"),
        ([{"timestamp": 5.0}, {"timestamp": 5.0}], 0.1, r'got 0 from info\["timestamp"\] 5.0; time has to go on'),
        ([{"timestamp": 5.0}, {"timestamp": 4.0}], 0.1, "got -10 from"),
        ([{"timestamp": 5.0}, {"timestamp": float("nan")}], 0.1, "got nan from"),
        ([{"timestamp": None}], 0.1, "expected a number as timestamp, got None"),
        ([{"timestamp": 5.0}], None, "give the environment an attribute dt, in seconds and above 0"),
        ([{"timestamp": 5.0}], 0.0, "give the environment an attribute dt"),
        ([{"timestamp": 5.0}, NO_INFO], 0.1, "at reset but not at a step"),
        ([NO_INFO, {"timestamp": 5.0}], 0.1, "at a step but not at reset"),
    ],
)
def test_what_is_no_time_is_one_line(infos: list[dict[str, Any]], dt: float | None, message: str) -> None:
    with pytest.raises(SpaceError, match=message) as error:
        times(*infos, dt=dt)
    assert str(error.value).startswith("environment 0: ")
    assert "\n" not in str(error.value)
