"""Names of observations: a dict's keys, values of choices, what wrappers drop and append."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from velora.envs import flattened
from velora.envs.sensed import names_of_observations
from velora.envs.wrappers import DropObservation, HoldAction, NoisyObservation, PreviousActionReward


class Shown(gym.Env[Any, Any]):
    """An environment that shows samples of a space."""

    def __init__(self, seen: gym.Space[Any], acted: gym.Space[Any] | None = None) -> None:
        self.observation_space, self.action_space = seen, acted or spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self.observation_space.sample(), {}


def box(*shape: int) -> spaces.Box:
    return spaces.Box(-1.0, 1.0, shape, np.float32)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (box(2), ["observation 1", "observation 2"]),
        (spaces.Dict(position=box(2), force=box()), ["position[0]", "position[1]", "force"]),
        (spaces.Dict(a=spaces.Dict(force=box(1), on=spaces.MultiBinary(2))), ["a.force", "a.on[0]", "a.on[1]"]),
        (spaces.Dict(load=spaces.Discrete(2, start=3)), ["load=3", "load=4"]),
        (spaces.Dict(map=box(1, 2)), ["map[0,0]", "map[0,1]"]),
        (spaces.Discrete(2), ["observation=0", "observation=1"]),
        (spaces.MultiDiscrete([1, 2]), ["observation[0]=0", "observation[1]=0", "observation[1]=1"]),
        (spaces.Tuple((box(2), spaces.Discrete(1))), ["observation[0][0]", "observation[0][1]", "observation[1]=0"]),
        (box(2, 1), ["observation 1", "observation 2"]),
    ],
)
def test_parts_of_an_observation_are_called_by_their_keys(seen: gym.Space[Any], expected: list[str]) -> None:
    env = flattened(Shown(seen))
    assert list(names_of_observations(env)) == expected
    assert len(env.reset(seed=0)[0]) == len(expected)


def test_names_stay_with_what_they_name_through_wrappers() -> None:
    flat = flattened(Shown(spaces.Dict(position=box(2), speed=box(2)), spaces.Discrete(2)))
    env = PreviousActionReward(DropObservation(HoldAction(NoisyObservation(flat, 0.1), [1]), [0, 3]))
    expected = ["position[1]", "speed[0]", "last action 1", "last action 2", "last reward"]
    assert list(names_of_observations(env)) == expected


def test_what_nothing_is_known_about_is_numbered() -> None:
    def mixed(obs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return obs[[0, 0]]

    env = flattened(Shown(spaces.Dict(position=box(3))))
    changed = gym.wrappers.TransformObservation(env, mixed, box(2))
    assert names_of_observations(changed) == ("observation 1", "observation 2")
    stacked = gym.wrappers.FrameStackObservation(gym.make("CartPole-v1"), 2)
    assert names_of_observations(flattened(stacked))[-1] == "observation 8"


def test_sensors_of_classic_control_have_their_names() -> None:
    assert names_of_observations(gym.make("CartPole-v1")) == (
        "cart position",
        "cart velocity",
        "pole angle",
        "pole velocity",
    )
