"""Descriptions of environments: what they say leads to the same environment, and what they can't say is named."""

from __future__ import annotations

import json
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.envs.stacks import MAKES, Filmed, Scaled, Untold, life, stack
from velora.core.errors import SettingError, SpaceError
from velora.envs import EnvironmentSource, describe, flattened, values
from velora.envs.description import differences
from velora.envs.gymnasium_wrappers import GYMNASIUM
from velora.envs.said import unsaid
from velora.envs.wrappers import DropObservation, HoldAction, wrap


def made_from(described: dict[str, Any]) -> Any:
    limit = described["max_episode_steps"]
    kwargs = {"max_episode_steps": -1 if limit is None else limit, **values.arguments(described["kwargs"])}
    bare = EnvironmentSource(described["id"], kwargs).make(flat=False)
    return flattened(wrap(bare, json.loads(json.dumps(described)).get("wrappers", ())))


SAID = {
    name: make
    for name, make in MAKES.items()
    if name not in ("a function", "a user's", "order", "order enforced by hand")
    and "entry point" not in name
    and "order" not in name
}
SAID |= {
    "statistics": lambda: lived(gym.wrappers.NormalizeReward(gym.wrappers.NormalizeObservation(pendulum()), gamma=0.9)),
    "stacked": lambda: gym.wrappers.FlattenObservation(gym.wrappers.FrameStackObservation(pendulum(), 3)),
    "infinite": lambda: gym.wrappers.ClipReward(pendulum(), -np.inf, -1.0),
    "a type": lambda: gym.wrappers.DtypeObservation(pendulum(), np.float32),
    "a tuple": lambda: gym.wrappers.ReshapeObservation(pendulum(), (3, 1)),
    "ours among others": lambda: DropObservation(
        gym.wrappers.ClipReward(HoldAction(pendulum(), [2, 3]), -1.0, 1.0), "velocity"
    ),
    "of no effect": lambda: gym.wrappers.RecordEpisodeStatistics(pendulum()),
}


def pendulum() -> Any:
    return gym.make("Pendulum-v1", max_episode_steps=40)


def lived(env: Any) -> Any:
    for _ in range(3):
        life(env)
    for layer in ("NormalizeReward", "NormalizeObservation"):
        inner = env
        while type(inner).__name__ != layer:
            inner = inner.env
        inner.update_running_mean = False
    return env


@pytest.mark.parametrize("name", SAID)
def test_what_is_said_makes_the_same_environment(name: str) -> None:
    env = SAID[name]()
    described = describe(env)
    assert not unsaid(described)
    again = made_from(described)
    assert life(again) == life(flattened(env))
    assert differences(described, describe(again)) == {}


def test_every_part_is_said() -> None:
    env = gym.wrappers.RescaleAction(
        gym.make("Pendulum-v1", g=5.0, max_episode_steps=7), np.float32(-0.5), np.float32(0.5)
    )
    half = {"array": 0.5, "dtype": "float32"}
    assert describe(env) == {
        "id": "Pendulum-v1",
        "kwargs": {"g": 5.0},
        "max_episode_steps": 7,
        "wrappers": [{"name": "RescaleAction", "kwargs": {"min_action": half | {"array": -0.5}, "max_action": half}}],
    }
    assert describe(gym.make("Pendulum-v1"))["max_episode_steps"] == 200
    assert describe(gym.make("Pendulum-v1", max_episode_steps=-1))["max_episode_steps"] is None
    assert describe(Filmed(gym.make("Pendulum-v1"), "films"))["missing"] == [
        "the wrapper Filmed (tests.unit.envs.stacks), which is code"
    ]


def test_what_cannot_be_said_is_named() -> None:
    table = np.zeros(10**5)
    env = gym.make("velora_tests/Table-v0", table=table, options={1: "one"})
    env = gym.wrappers.TransformReward(Untold(Scaled(env, 2.0)), lambda reward: reward)
    assert unsaid(describe(env)) == [
        "its keyword table (a ndarray)",
        "its keyword options (a dict)",
        "the wrapper Scaled (tests.unit.envs.stacks), which is code",
        "the wrapper Untold (tests.unit.envs.stacks), which is code",
        "the wrapper TransformReward (gymnasium.wrappers.transform_reward), which is code with the function func",
    ]


def test_arguments_that_would_fill_a_checkpoint_are_named() -> None:
    long = {f"list {number}": [0.1] * 12_000 for number in range(8)}
    described = describe(gym.make("velora_tests/Table-v0", table=[0.1] * 10**5, options=long))
    assert unsaid(described) == ["its keyword table (a list)", "its keyword options (a dict)"]
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(SpaceError, match="at most 16 levels"):
        values.encode(endless)


def test_an_entry_point_that_wraps_is_made_by_its_id() -> None:
    for name in ("Wrapped", "Nested", "Free"):
        env = Scaled(gym.make(f"velora_tests/{name}-v0"), 2.0)
        assert unsaid(describe(env)) == ["the wrapper Scaled (tests.unit.envs.stacks), which is code"]
        assert "wrappers" not in describe(env)
        assert "Untold" in stack(made_from(describe(gym.make(f"velora_tests/{name}-v0"))))


@pytest.mark.parametrize(
    ("one", "error"),
    [
        ({"name": "RecordVideo", "kwargs": {"video_folder": "/tmp/x"}}, SettingError),
        ({"name": "TransformReward", "kwargs": {"func": "print"}}, SettingError),
        ({"name": "os.system", "kwargs": {}}, SettingError),
        ({"name": "ClipReward", "kwargs": {"func": 1}}, SettingError),
        ({"name": "FrameStackObservation", "kwargs": {"stack_size": 10**9}}, SettingError),
        ({"name": "DiscretizeAction", "kwargs": {"bins": {"tuple": [2, 10**9]}}}, SettingError),
        ({"name": "FrameStackObservation", "kwargs": {"stack_size": -1}}, SpaceError),
        ({"name": "RescaleAction", "kwargs": {}}, SpaceError),
        ({"name": "RescaleAction", "kwargs": {"min_action": {"array": ["a"], "dtype": "float32"}}}, SpaceError),
        ({"name": "RescaleAction", "kwargs": {"min_action": {"array": [1], "dtype": "object"}}}, SpaceError),
        ({"name": "RescaleAction", "kwargs": {"min_action": {"float": "infinity"}}}, SpaceError),
        ({"name": "NormalizeObservation", "kwargs": {}}, SpaceError),
        ({"name": "NormalizeObservation", "kwargs": {}, "statistics": {"obs_rms": 3}}, SpaceError),
        ({"name": "NormalizeObservation", "kwargs": {}, "statistics": {"obs_rms": {"mean": 1.0}}}, SpaceError),
    ],
)
def test_a_forged_wrapper_is_one_line(one: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error) as raised:
        wrap(gym.make("Pendulum-v1"), [one])
    assert "\n" not in str(raised.value)


def test_statistics_that_do_not_fit_are_refused() -> None:
    described = describe(gym.wrappers.NormalizeObservation(gym.make("Pendulum-v1")))
    row: Any = described["wrappers"][0]["statistics"]["obs_rms"]
    for key, value in (("var", -1.0), ("mean", float("inf"))):
        bad = json.loads(json.dumps(described["wrappers"]))
        bad[0]["statistics"]["obs_rms"][key] = values.encode(np.full(3, value, np.float32))
        with pytest.raises(SpaceError, match="its statistics"):
            wrap(gym.make("Pendulum-v1"), bad)
    row["count"] = -1.0
    with pytest.raises(SpaceError, match="negative variance or count"):
        wrap(gym.make("Pendulum-v1"), described["wrappers"])


def test_only_what_differs_is_told() -> None:
    given = {**describe(gym.make("Pendulum-v1", g=4.0)), "action_low": [-2.0]}
    assert differences(given, given) == {}
    assert differences({**given, "max_episode_steps": 50}, given) == {
        "max_episode_steps": "max_episode_steps was 50, is 200"
    }
    assert differences({**given, "missing": ["the wrapper X"]}, given) == {
        "missing": "missing was ['the wrapper X'], is None"
    }
    moved = gym.wrappers.NormalizeObservation(gym.make("Pendulum-v1"))
    before = describe(moved)
    life(moved)
    assert before != describe(moved)
    assert differences(before, describe(moved)) == {}


def test_an_older_description_says_less_and_is_the_same() -> None:
    env = gym.wrappers.ClipReward(HoldAction(gym.make("Pendulum-v1", g=4.0), [2]), -1.0, 1.0)
    older = {"id": "Pendulum-v1", "kwargs": {"g": 4.0}, "wrappers": [{"name": "HoldAction", "kwargs": {
        "hold": [2], "order": "random"}}]}  # fmt: skip
    assert differences(older, describe(env)) == {}
    assert differences({**older, "kwargs": {"g": 5.0}}, describe(env)) == {
        "kwargs": "kwargs was {'g': 5.0}, is {'g': 4.0}"
    }
    healthy = gym.make("velora_tests/Table-v0", table=(0.2, 1.0), options=np.zeros(2))
    assert differences({"id": "velora_tests/Table-v0", "kwargs": {"table": [0.2, 1.0]}}, describe(healthy)) == {}


def test_only_wrappers_that_write_nothing_can_be_named() -> None:
    assert not {"RecordVideo", "HumanRendering", "TransformReward", "TransformObservation"} & set(GYMNASIUM)


LEAVES = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=4)
    | st.sampled_from([np.float32, np.int8, np.bool_]) | st.floats(width=32).map(np.float32)
    | st.lists(st.floats(width=32), max_size=3).map(lambda numbers: np.array(numbers, np.float32))
    | st.lists(st.tuples(st.integers(-9, 9), st.booleans()), max_size=2).map(lambda rows: np.array(rows, np.int16))
)  # fmt: skip


@given(st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple)
       | st.dictionaries(st.text(max_size=6), inner, max_size=3), max_leaves=6))  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_arguments_come_back_as_they_were(value: Any) -> None:
    try:
        written = values.encode(value)
    except SpaceError:
        assert "tuple" in repr(value) or "array" in repr(value) or "float" in repr(value) or "dtype" in repr(value)
        return
    assert same(value, values.decode(json.loads(json.dumps(written, allow_nan=False))))


def same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray | np.generic):
        return one.dtype == other.dtype and one.shape == other.shape and np.array_equal(one, other, equal_nan=True)
    return one is other or one == other or (one != one and other != other)
