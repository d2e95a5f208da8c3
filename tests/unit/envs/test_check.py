"""What is found out about an environment before training."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from velora.core.errors import SettingError
from velora.envs import check_environment
from velora.envs.check import Report

UNSEEDED = np.random.default_rng()


class Tank(gym.Env[Any, Any]):
    """A level that actions raise, with one fault."""

    observation_space: Any = spaces.Box(-1.0, 1.0, (2,))
    action_space: Any = spaces.Box(0.0, 1.0, (1,))

    def __init__(self, fault: str = "") -> None:
        self.fault, self.drift, self.n = fault, 0.0, 0
        self.level = np.zeros(2, np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.n = 0
        draw = UNSEEDED.random(2) if self.fault == "random reset" else self.np_random.random(2)
        self.level = draw.astype(np.float32)
        if self.fault == "shape":
            return np.zeros(3, np.float32), {}
        return self.level if self.fault == "old reset" else (self.level, {})

    def step(self, action: Any) -> Any:
        self.n += 1
        if self.fault == "raises":
            raise ZeroDivisionError("the valve has no area")
        if self.fault == "old step":
            return self.level, 0.0, False, {}
        if self.fault == "nan" and self.n == 5:
            return self.level * np.nan, 0.0, False, False, {}
        self.drift += 0.1 if self.fault == "carries over" else 0.0
        self.level = np.clip(self.level + 0.01 * action, -1, 1).astype(np.float32)
        if self.fault == "random step":
            self.level[0] += UNSEEDED.random() / 100
        if self.fault == "large":
            return self.level * 1000, float(self.level[1]), False, False, {}
        reward = 0.0 if self.fault == "no reward" else float(self.level[1]) + self.drift
        info = {"dt": 1.0 + self.n % 2} if self.fault == "irregular" else {}
        return self.level, reward, self.fault == "ends itself" and self.n == 20, False, info


gym.register("CheckedTank-v0", lambda **kwargs: Tank(**kwargs), max_episode_steps=30)
gym.register("EndlessTank-v0", lambda **kwargs: Tank(**kwargs))


def checked(fault: str = "", env_id: str = "CheckedTank-v0", steps: int = 200) -> Report:
    env = gym.make(env_id, disable_env_checker=True, fault=fault)
    try:
        return check_environment(env, steps=steps)
    finally:
        env.close()


def test_a_sound_environment_has_facts_and_no_remarks() -> None:
    report = checked()
    facts = dict(report.facts)
    assert (report.problems, report.cautions) == ([], [])
    assert facts["class"].endswith("test_check.Tank")
    assert facts["agent sees"] == "2 numbers, as given"
    assert facts["puts out"] == "1 number in [-1, 1], scaled to 0 ... 1"
    assert facts["time limit"] == "30 steps"
    assert facts["time"] == "regular steps"
    assert facts["episodes"].startswith("6 played at random: 30 steps, return ")
    assert facts["episodes"].endswith("truncated")
    assert facts["repeatable"].startswith("yes: the same seed and 30 actions")


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("shape", "reset(seed=0): expected reset to return an observation of 2 numbers, of the shape (2,)"),
        ("old reset", "reset(seed=0): expected reset to return (observation, info), got array"),
        ("old step", "step 1: expected step to return (observation, reward, terminated, truncated, info)"),
        ("nan", "step 5: step gave the observation [nan nan] and the reward 0.0"),
        ("raises", "step 1 raised ZeroDivisionError: the valve has no area (test_check.py, line "),
    ],
)
def test_a_faulty_call_is_named(fault: str, line: str) -> None:
    (problem,) = checked(fault).problems
    assert problem.startswith(line)
    assert "\n" not in problem


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("random reset", "the observation of reset differs: the seed doesn't decide everything"),
        ("random step", "the observation of step 1 differs: the seed doesn't decide everything"),
        ("carries over", "an episode depends on those before it"),
    ],
)
def test_an_episode_that_cannot_be_repeated_is_told_apart(fault: str, why: str) -> None:
    report = checked(fault)
    (caution,) = report.cautions
    assert why in caution
    assert report.problems == []
    assert "repeatable" not in dict(report.facts)


def test_a_function_that_gives_one_environment_has_no_copies() -> None:
    env = Tank("carries over")
    first, second = check_environment(lambda: env, steps=50).cautions[1:]
    assert first == "several seeds can't train side by side: the function gave one environment several times"
    assert "the seed doesn't decide everything, or earlier episodes do" in second


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("ends itself", "every episode terminated after 20 steps; where that is a time limit, say truncated instead"),
        ("no reward", "every reward was 0: "),
        ("large", "observations reach "),
    ],
)
def test_what_is_often_not_meant_is_said(fault: str, line: str) -> None:
    assert [one for one in checked(fault).cautions if one.startswith(line)]


def test_an_episode_without_end_is_said() -> None:
    (caution,) = checked(env_id="EndlessTank-v0").cautions
    assert caution.startswith("no episode ended within 200 steps; register it with max_episode_steps")


def test_an_end_that_an_agent_may_learn_to_avoid_is_said() -> None:
    (caution,) = [one for one in checked("ends itself", "EndlessTank-v0").cautions if "time limit:" in one]
    assert caution.startswith("no time limit: an agent that learns not to fail may never end an episode; register it")
    assert not any("no time limit" in one for one in checked("ends itself").cautions)


def test_irregular_time_is_said() -> None:
    assert dict(checked("irregular").facts)["time"] == "a step takes 1 to 2 control steps"


def test_actions_that_no_agent_gives_are_a_problem() -> None:
    env = gym.make("CheckedTank-v0", disable_env_checker=True)
    env.unwrapped.action_space = spaces.MultiDiscrete([2, 3])
    report = check_environment(env)
    assert "number their combinations" in report.problems[0]


@pytest.mark.parametrize(
    ("env_id", "sees", "puts_out"),
    [
        ("Blackjack-v1", "45 numbers: 0 (32, one-hot), 1 (11, one-hot), 2 (2, one-hot)", "one of 2 actions"),
        ("FrozenLake-v1", "16 numbers: 16, one-hot", "one of 4 actions, numbered from 0"),
    ],
)
def test_what_is_flattened_is_said(env_id: str, sees: str, puts_out: str) -> None:
    report = check_environment(env_id, steps=20)
    assert dict(report.facts)["agent sees"] == sees
    assert dict(report.facts)["puts out"].startswith(puts_out)
    assert report.is_discrete


def test_it_needs_a_step() -> None:
    with pytest.raises(SettingError, match="steps: expected at least 1, got 0"):
        checked(steps=0)


def test_pictures_are_seen_as_such() -> None:
    class Camera(Tank):
        observation_space: Any = spaces.Box(0, 255, (16, 16, 3), np.uint8)

        def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
            return np.zeros((16, 16, 3), np.uint8), {}

        def step(self, action: Any) -> Any:
            return np.ones((16, 16, 3), np.uint8), 1.0, False, False, {}

    report = check_environment(Camera, steps=5)
    assert dict(report.facts)["agent sees"] == "images (16, 16, 3), through a small convolutional encoder"
