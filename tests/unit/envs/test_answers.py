"""Slips of environments: each is one line that names the call, what was expected and what was received."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from velora.core.errors import NonFiniteError, SpaceError
from velora.envs import Environments, EnvironmentSource, flattened

BOX = spaces.Box(-1.0, 1.0, (3,))
GOOD = np.zeros(3, np.float32)
STEP: tuple[Any, ...] = (GOOD, 1.0, False, False, {})


class Odd(gym.Env[Any, Any]):
    """Answer what it is told to answer."""

    observation_space, action_space = BOX, spaces.Box(-1.0, 1.0, (1,))

    def __init__(self, reset: Any = (GOOD, {}), step: Any = STEP) -> None:
        self.answers = reset, step

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return self.answers[0]

    def step(self, action: Any) -> Any:
        return self.answers[1]


def step(answer: Any, wrapper: Callable[[Any], Any] = lambda env: env) -> Any:
    envs = Environments([wrapper(Odd(step=answer))], obs_dim=3)
    envs.reset(0, seed=1)
    return envs.step(0, np.zeros(1, np.float32))


def with_obs(obs: Any) -> tuple[Any, ...]:
    return (obs, *STEP[1:])


@pytest.mark.parametrize(
    ("obs", "received"),
    [
        (0.5, "float: 0.5"),
        (np.float32(0.5), r"float32 of the shape \(\)"),
        (np.zeros(1), r"of the shape \(1,\)"),
        (np.zeros((1, 3)), r"of the shape \(1, 3\)"),
        (np.zeros((3, 1)), r"of the shape \(3, 1\)"),
        (np.zeros(4), r"of the shape \(4,\)"),
        (np.zeros(2, np.float32), r"of the shape \(2,\)"),
        ([0.0, 0.0], r"list: \[0.0, 0.0\]"),
        ([[0.0], [0.0, 1.0], 2.0], "list: "),
        (["1", "2", "3"], "list: "),
        (np.array(["1", "2", "3"]), r"ndarray of the shape \(3,\)"),
        (b"123", "bytes"),
        ("0.5", "str: '0.5'"),
        (None, "NoneType: None"),
        ({"x": 1.0}, "dict"),
        (np.zeros(3, complex), "ndarray"),
        (np.array([0.0, 1.0, None]), "ndarray"),
        (np.zeros(3, "datetime64[s]"), "ndarray"),
        (np.ma.masked_array([0.0, 1.0, 2.0], [False, True, False]), "MaskedArray"),
        ((GOOD, {}), "tuple"),
        (torch.zeros(3, requires_grad=True), "Tensor"),
    ],
)
def test_an_observation_of_another_form_is_never_taken(obs: Any, received: str) -> None:
    message = rf"^environment 0: expected step to return an observation of 3 numbers.*got .*{received}"
    with pytest.raises(SpaceError, match=message) as error:
        step(with_obs(obs))
    assert "\n" not in str(error.value)
    envs = Environments([Odd(reset=(obs, {}))], obs_dim=3)
    with pytest.raises(SpaceError, match=r"^environment 0: expected reset to return an observation of 3 numbers"):
        envs.reset(0, seed=1)


@pytest.mark.parametrize(
    "obs",
    [
        np.array([1, 2, 3]), np.array([1.0, 2.0, 3.0]), np.array([1, 2, 3], np.uint8), [1.0, 2, 3.0], (1, 2, 3),
        np.array([1, 2, 3], np.float16), torch.tensor([1.0, 2.0, 3.0]), np.array([1, 2, 3], ">f8"),
        np.asfortranarray([1.0, 2.0, 3.0]), np.arange(1.0, 7.0, 1.0)[:3], np.ma.masked_array([1.0, 2.0, 3.0]),
    ],
)  # fmt: skip
def test_numbers_of_the_right_shape_are_taken_in_any_type(obs: Any) -> None:
    assert step(with_obs(obs)).obs.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("answer", "received"),
    [
        ((GOOD, 1.0, False, {}), "interface of Gym, not of Gymnasium"),
        (None, "cannot unpack non-iterable NoneType object.*for Gymnasium's interface"),
        (GOOD, "interface of Gym"),
        (3.0, "got 3.0$"),
        ((*STEP, 7), r"False, \{\}, 7\)$"),
        (with_obs(GOOD)[:2], "got "),
    ],
)
def test_an_answer_to_a_step_that_is_not_five_things(answer: Any, received: str) -> None:
    message = rf"^environment 0: expected step to return \(observation, reward, terminated, .*{received}"
    with pytest.raises(SpaceError, match=message) as error:
        step(answer)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("wrapper", [lambda env: gym.wrappers.TimeLimit(env, 9), gym.wrappers.OrderEnforcing])
def test_an_old_answer_is_explained_through_wrappers_too(wrapper: Callable[[Any], Any]) -> None:
    with pytest.raises(SpaceError, match=r"^environment 0: expected step to return .* got .*Gym"):
        step((GOOD, 1.0, False, {}), wrapper)


@pytest.mark.parametrize("reset", [GOOD, np.zeros(2), None, (GOOD,), (GOOD, {}, 1), {}])
def test_an_answer_to_a_reset_that_is_not_two_things(reset: Any) -> None:
    with pytest.raises(
        SpaceError, match=r"^environment 0: expected reset to return \(observation, info\), got"
    ) as error:
        Environments([Odd(reset=reset)], obs_dim=3).reset(0, seed=1)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("info", [None, [], "info", 3.0])
def test_an_info_that_is_no_dict(info: Any) -> None:
    with pytest.raises(SpaceError, match=r"^environment 0: expected a dict as info of step, got"):
        step((*STEP[:4], info))
    with pytest.raises(SpaceError, match=r"^environment 0: expected a dict as info of reset, got"):
        Environments([Odd(reset=(GOOD, info))], obs_dim=3).reset(0, seed=1)


def test_a_reset_without_a_seed_is_one_line() -> None:
    class Old(Odd):
        def reset(self) -> Any:  # type: ignore[override]
            return GOOD

    for env in (Old(), gym.wrappers.TimeLimit(Old(), 9)):
        with pytest.raises(SpaceError, match=r"^environment 0: expected reset\(\*, seed=None, options=None\)") as error:
            Environments([env], obs_dim=3).reset(0, seed=1)
        assert "\n" not in str(error.value)


def test_errors_of_the_environment_itself_are_left_alone() -> None:
    class Broken(Odd):
        def step(self, action: Any) -> Any:
            first, second = action
            return first, second

    envs = Environments([Broken()], obs_dim=3)
    envs.reset(0, seed=1)
    with pytest.raises(ValueError, match="not enough values to unpack") as error:
        envs.step(0, np.zeros(1, np.float32))
    assert type(error.value) is ValueError


@pytest.mark.parametrize("reward", ["1.5", b"1", None, [1.0, 2.0], np.zeros(2), {}, 1j, datetime.timedelta(1), [[]]])
def test_a_reward_that_is_no_number(reward: Any) -> None:
    with pytest.raises(SpaceError, match=r"^environment 0: expected a number as reward of step, got") as error:
        step((GOOD, reward, False, False, {}))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "reward",
    [1, 1.0, True, np.float64(1), np.float32(1), np.int64(1), np.array([1.0]), np.array(1), [1], torch.ones(1)],
)
def test_a_reward_may_be_any_number(reward: Any) -> None:
    answer = step((GOOD, reward, False, False, {}))
    assert (answer.reward, type(answer.reward)) == (1.0, float)


@pytest.mark.parametrize("flag", ["False", None, np.array([True, False]), 2, 0.5, float("nan"), {}, [], "True"])
def test_an_end_that_is_neither_true_nor_false(flag: Any) -> None:
    for name, answer in (("terminated", (flag, False)), ("truncated", (False, flag))):
        message = f"^environment 0: expected True or False as {name} of step, got"
        with pytest.raises(SpaceError, match=message) as error:
            step((GOOD, 1.0, *answer, {}))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("flag", [True, np.True_, 1, np.array([True]), np.array(1), torch.tensor(True), 1.0])
def test_an_end_may_be_any_truth(flag: Any) -> None:
    answer = step((GOOD, 1.0, flag, False, {}))
    assert answer.terminated is True
    assert answer.truncated is False


@pytest.mark.parametrize(
    "date",
    [
        datetime.datetime(2024, 1, 1), datetime.date(2024, 1, 1), np.datetime64("2024-01-01T00:00:00"),
        np.datetime64(10**9, "ns"), "2024-01-01", "12.5", datetime.timedelta(seconds=1), np.timedelta64(5, "ns"),
    ],
)  # fmt: skip
def test_a_date_is_no_time(date: Any) -> None:
    stamped = Odd(reset=(GOOD, {"timestamp": date}))
    stamped.dt = 0.1  # type: ignore[attr-defined]
    with pytest.raises(SpaceError, match=r"expected a number as timestamp, got .* in the info of reset") as error:
        Environments([stamped], obs_dim=3).reset(0, seed=1)
    assert "\n" not in str(error.value)
    with pytest.raises(SpaceError, match=r"^environment 0: expected a number as dt, got .* in the info of step"):
        step((*STEP[:4], {"dt": date}))


def test_numbers_that_are_not_finite_are_named_as_before() -> None:
    with pytest.raises(NonFiniteError, match="environment 0: step gave the observation"):
        step(with_obs(np.full(3, np.nan)))
    with pytest.raises(NonFiniteError, match="environment 0: step gave the observation"):
        step(with_obs(np.full(3, 1e39)))


class Parts(gym.Env[Any, Any]):
    """Show one observation of a space that is flattened."""

    action_space = spaces.Box(-1.0, 1.0, (1,))

    def __init__(self, seen: spaces.Space[Any], obs: Any) -> None:
        self.observation_space, self.obs = seen, obs

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return self.obs, {}


ROOM = spaces.Dict({"place": spaces.Box(-1, 1, (2, 2)), "light": spaces.Discrete(3, start=1)})


@pytest.mark.parametrize(
    ("space", "obs", "message"),
    [
        (spaces.Discrete(3), -1, "expected a whole number from 0 to 2 as an observation, got -1"),
        (spaces.Discrete(3), 3, "from 0 to 2"),
        (spaces.Discrete(3), 1.5, "from 0 to 2"),
        (spaces.Discrete(3, start=1), 0, "from 1 to 3"),
        (spaces.MultiDiscrete([2, 3]), [1, -1], "expected whole numbers of MultiDiscrete"),
        (spaces.MultiDiscrete([2, 3]), [1], r"of the shape \(2,\), got the shape \(1,\)"),
        (spaces.MultiBinary(2), [0, 2], "expected zeros and ones"),
        (spaces.Box(-1, 1, (2, 2)), np.zeros(4), r"of the shape \(2, 2\), got the shape \(4,\)"),
        (spaces.Box(-1, 1, (2, 2)), [["1", "2"], ["3", "4"]], "expected numbers as an observation"),
        (ROOM, {"place": np.zeros((2, 2))}, "expected 'light' in an observation, got only"),
        (ROOM, {"place": np.zeros(4), "light": 1}, r"expected an observation\['place'\] of the shape"),
        (ROOM, np.zeros(7), "expected a dict as an observation"),
        (spaces.Tuple((spaces.Discrete(2),)), (1, 1), "expected 1 parts in an observation"),
        (spaces.Tuple((spaces.Discrete(2),)), 1, "expected 1 parts in an observation"),
    ],
)
def test_a_part_of_an_observation_is_checked_before_it_is_laid_out(space: Any, obs: Any, message: str) -> None:
    env = flattened(Parts(space, obs))
    with pytest.raises(SpaceError, match=f"^env: reset: .*{message}") as error:
        env.reset(seed=1)
    assert "\n" not in str(error.value)


def test_spaces_that_are_none_are_one_line() -> None:
    class NoSpace(gym.Env[Any, Any]):
        pass

    class Text(NoSpace):
        observation_space: Any = "Box(3)"

    for kind in (NoSpace, Text):
        with pytest.raises(SpaceError, match=r"expected its observation_space to be a space of gymnasium.spaces"):
            EnvironmentSource(kind()).first()
