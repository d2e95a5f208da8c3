"""What the live page is told of a policy and its environment; what it computes from that is compared in Node."""

from __future__ import annotations

import base64
import json
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import velora
from velora.core.errors import SettingError
from velora.envs import describe as described
from velora.envs.wrappers import DropObservation, NoisyObservation, PreviousActionReward
from velora.export.describe import describe
from velora.export.json_form import json_form, packed
from velora.export.policy import Policy
from velora.models import LiquidDDPG, LiquidPPO
from velora.watch.live import Lane, live_page
from velora.watch.task import world_of


def policy(n_observations: int = 3) -> Policy:
    return describe(LiquidDDPG(n_observations, 10, 1, seed=0, device="cpu"))


def unpacked(one: dict[str, Any]) -> Any:
    return np.frombuffer(base64.b64decode(one["base64"]), "<f4").reshape(one["shape"])


def test_numbers_are_packed_whole() -> None:
    values = np.array([[1.0, -2.5], [np.nan, 3e-30]], np.float32)
    np.testing.assert_array_equal(unpacked(packed(values)), values)
    np.testing.assert_array_equal(unpacked(packed(values.T)), values.T)


@pytest.mark.parametrize("cell", ["cfc", "memoryless", "ltc"])
def test_a_policy_in_json_has_all_of_its_numbers(cell: str) -> None:
    settings: dict[str, Any] = {"cell": cell}
    form = describe(LiquidPPO(4, 12, 3, discrete=True, seed=0, device="cpu", **settings))
    read = json.loads(json.dumps(json_form(form), allow_nan=False))
    for layer, own in zip(form.layers, read["layers"], strict=True):
        n = sum(int(np.count_nonzero(tensor)) for tensor in layer.tensors.values())
        assert sum(int(np.count_nonzero(unpacked(one))) for one in own["tensors"].values()) == n
        if cell != "ltc":
            assert own["tensors"]["weight"]["shape"][1] == layer.n_in + layer.n * layer.kind.has_state
    assert read["units"] == {"n": 3, "first": 0}
    assert (read["choice"], read["readout"]["n_out"]) == ("LARGEST", 3)


def test_sensors_are_named_through_all_wrappers() -> None:
    env = PreviousActionReward(NoisyObservation(DropObservation(gym.make("Pendulum-v1"), "velocity"), 0.1))
    world = world_of(policy(4), described(env))
    assert world.sensors == ("cos angle", "sin angle", "last action", "last reward")
    names = [one["name"] for one in world.environment["wrappers"]]
    assert names == ["HoldAction", "DropObservation", "NoisyObservation", "Flicker", "PreviousActionReward"]
    assert world.wrappers["DropObservation"]["drop"] == [2]
    assert world.wrappers["Flicker"]["probability"] == 0.0
    assert (world.environment["limit"], world.environment["keywords"]) == (200, {})


def test_keywords_and_limits_are_those_that_it_was_made_with() -> None:
    world = world_of(policy(), described(gym.make("Pendulum-v1", g=9.0, max_episode_steps=50)))
    assert (world.environment["limit"], world.environment["keywords"]) == (50, {"g": 9.0})
    assert world_of(policy(), {"id": "Pendulum-v1", "kwargs": {}}).environment["limit"] == 200


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (None, "names no environment; give one, such as env=pendulum"),
        (
            {"id": "HalfCheetah-v5"},
            "computes Pendulum, CartPole, MountainCar, MountainCarContinuous, not HalfCheetah-v5",
        ),
        ({"id": "my_module:Pendulum-v1"}, "not my_module:Pendulum-v1; leave live=true out"),
        ({"id": "Pendulum-v1", "kwargs": {"length": 2}}, "can't compute the keyword length of Pendulum"),
        ({"id": "Pendulum-v1", "wrappers": [{"name": "ClipReward", "kwargs": {}}]}, "the wrapper ClipReward"),
        ({"id": "Pendulum-v1", "missing": ["its reward function"]}, "can't compute its reward function"),
        ({"id": "MountainCarContinuous-v0"}, "MountainCarContinuous-v0 shows 2 numbers, the policy reads 3"),
    ],
)
def test_what_a_page_cant_compute_is_refused(said: dict[str, Any] | None, told: str) -> None:
    with pytest.raises(SettingError, match="live: ") as found:
        world_of(policy(), said)
    assert told in str(found.value)


def test_policies_of_different_tasks_dont_stand_side_by_side() -> None:
    lanes = [Lane.of(velora.zoo(name, device="cpu")) for name in ("cartpole", "mountain-car")]
    with pytest.raises(SettingError, match="do the same task, got CartPole and MountainCarContinuous"):
        live_page(*lanes)
