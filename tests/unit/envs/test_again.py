"""Environments made again: the same making, the same wrappers in the same order, arguments shared."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from tests.unit.envs.stacks import MAKES, Filmed, HalfTold, Misled, Scaled, Table, Untold, again, life, stack
from velora.core.errors import SettingError, SpaceError
from velora.envs import EnvironmentSource


@pytest.mark.parametrize("name", MAKES)
def test_a_copy_is_the_same_environment(name: str) -> None:
    given = MAKES[name]()
    copy = again(given)
    assert stack(copy) == stack(given)
    assert life(copy) == life(given)
    assert stack(again(copy)) == stack(given)


@pytest.mark.parametrize("wrap", [Untold, HalfTold, Misled])
def test_a_wrapper_that_does_not_tell_its_arguments_is_not_made_again(wrap: Any) -> None:
    source = EnvironmentSource(wrap(gym.make("Pendulum-v1")))
    assert not source.is_repeatable
    message = rf"can't be made again, since its wrapper {wrap.__name__} doesn't tell its arguments .*or pass a function"
    with pytest.raises(SpaceError, match=message):
        source.make()


def test_arguments_are_shared_and_containers_are_not() -> None:
    table, plan = np.zeros(10**6), {"levels": [1, 2], "table": np.zeros(10)}
    given: Any = Scaled(gym.make("velora_tests/Table-v0", table=table, options=plan), 2.0, lookup=np.ones(10**6))
    given.unwrapped.options["levels"].append(3)  # as they are when training begins
    source = EnvironmentSource(given)
    copies: Any = [source.make() for _ in range(3)]
    for copy in copies:
        assert copy.unwrapped.table is table
        assert copy.lookup is copies[0].lookup
        assert copy._saved_kwargs is given._saved_kwargs
        assert copy.unwrapped.options["levels"] == [1, 2, 3]
        assert copy.unwrapped.options["levels"] is not copies[(copies.index(copy) + 1) % 3].unwrapped.options["levels"]
        assert copy.unwrapped.options["table"] is plan["table"]
    given.unwrapped.options["levels"].append(4)
    assert source.make().unwrapped.options["levels"] == [1, 2, 3]  # type: ignore[attr-defined]
    by_id: Any = [EnvironmentSource("velora_tests/Table-v0", {"table": table}).make() for _ in range(2)]
    assert all(env.unwrapped.table is table for env in by_id)


def test_registered_arguments_are_shared_too() -> None:
    table = np.zeros(1000)
    gym.register("velora_tests/Registered-v0", lambda **kw: Table(**kw), kwargs={"table": table})
    try:
        source = EnvironmentSource("velora_tests/Registered-v0")
        assert all(source.make().unwrapped.table is table for _ in range(3))  # type: ignore[attr-defined]
    finally:
        del gym.registry["velora_tests/Registered-v0"]


def test_generators_are_copied() -> None:
    given: Any = gym.make("velora_tests/Table-v0", options=[np.random.default_rng(4)])
    first, second = (EnvironmentSource(given).make().unwrapped.options[0] for _ in "ab")  # type: ignore[attr-defined]
    assert first is not second
    assert first.random() == second.random() == np.random.default_rng(4).random()


def test_only_the_first_environment_is_filmed() -> None:
    given = Filmed(gym.make("Pendulum-v1"), "films")
    assert "Filmed" not in stack(again(given))
    made: list[Filmed] = []

    def make() -> Any:
        made.append(Filmed(gym.make("Pendulum-v1"), "films"))
        return made[-1]

    source = EnvironmentSource(make)
    for env in (source.first()[0], source.make(), source.make()):
        env.reset(seed=1)
    assert [film.films for film in made] == [[1], [], []]


def test_a_function_that_gives_one_and_the_same_is_found_out() -> None:
    one = gym.make("Pendulum-v1")
    for make in (lambda: one, lambda: gym.wrappers.FlattenObservation(one)):
        source = EnvironmentSource(make)
        first, is_ours = source.first()
        assert is_ours
        assert source.is_repeatable
        with pytest.raises(SpaceError, match=r"^env: the function gave one environment several times$"):
            source.make()
        assert not source.is_repeatable
        source.release(first)
        one.reset(seed=1)
        with pytest.raises(SettingError, match=r"several times; each seed needs one of its own$"):
            list(EnvironmentSource(make).more(2))


def test_a_registered_environment_of_which_there_is_one_is_found_out() -> None:
    one = Table()
    gym.register("velora_tests/One-v0", lambda **_: one)
    try:
        source = EnvironmentSource(gym.make("velora_tests/One-v0"))
        with pytest.raises(SpaceError, match=r"one environment several times"):
            source.make()
    finally:
        del gym.registry["velora_tests/One-v0"]


def test_nobody_watches_a_copy() -> None:
    given = gym.make("Pendulum-v1", render_mode="rgb_array_list")
    assert stack(given)[-1] == "RenderCollection"
    assert "RenderCollection" not in stack(again(given))
    pixels = gym.wrappers.AddRenderObservation(gym.make("Pendulum-v1", render_mode="rgb_array"), render_only=True)
    copy = again(gym.wrappers.FlattenObservation(pixels))
    assert isinstance(copy.observation_space, spaces.Box)


def test_what_was_set_after_the_making_is_noticed() -> None:
    given: Any = Scaled(gym.make("Pendulum-v1"), 2.0)
    given.unwrapped.g = 3.0
    source = EnvironmentSource(given)
    message = r"can't be made again, since its g is 3\.0 here and 10\.0 in a copy, so it was changed after it was made"
    with pytest.raises(SpaceError, match=message) as error:
        source.make()
    assert "\n" not in str(error.value)
    assert not source.is_repeatable
    with pytest.raises(SpaceError, match=r"^env: 3 seeds need 3 environments.*its g is 3\.0"):
        list(EnvironmentSource(given).more(2))
    given.unwrapped.g, given.scale = 10.0, 5
    with pytest.raises(SpaceError, match=r"its scale is 5 here and 2\.0 in a copy"):
        EnvironmentSource(given).make()


@pytest.mark.parametrize("name", MAKES)
def test_what_an_episode_changes_sets_nothing_apart(name: str) -> None:
    given = MAKES[name]()
    life(given, 30)
    EnvironmentSource(given).make()


def test_simulators_that_were_used_before_are_made_again() -> None:
    for env_id in ("CartPole-v1", "Hopper-v5", "LunarLander-v3", "BipedalWalker-v3", "FrozenLake-v1", "Acrobot-v1"):
        given: Any = gym.make(env_id, render_mode="rgb_array")
        given.reset(seed=1)
        for _ in range(30):
            _, _, terminated, truncated, _ = given.step(given.action_space.sample())
            if terminated or truncated:
                given.reset()
        assert EnvironmentSource(given).make() is not given


def test_a_long_list_is_data_and_shared() -> None:
    rows = [[0.0]] * 20_000
    given: Any = gym.make("velora_tests/Table-v0", table=rows)
    assert EnvironmentSource(given).make().unwrapped.table is rows  # type: ignore[attr-defined]
