"""Positions and velocities inside of environments, whatever wrappers hide."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from velora.analysis import trace
from velora.envs.simulator import simulator
from velora.envs.wrappers import DropObservation
from velora.models import LiquidTD3


def test_a_pendulum_is_read_below_its_wrappers() -> None:
    env = DropObservation(gym.make("Pendulum-v1"), "velocity")
    obs, _ = env.reset(seed=0)
    known = simulator(env)
    assert known is not None
    angle, velocity = known.read()
    np.testing.assert_allclose(obs, [np.cos(angle), np.sin(angle)], atol=1e-6)
    assert velocity == env.unwrapped.state[1]  # type: ignore[attr-defined]
    assert (known.names, known.plane) == (("angle", "angular velocity"), (0, 1))


def test_angles_are_those_nearest_to_zero() -> None:
    env = gym.make("Pendulum-v1")
    env.reset(seed=0)
    env.unwrapped.state = np.array([7.0, 0.0])  # type: ignore[attr-defined]
    known = simulator(env)
    assert known is not None
    assert known.read()[0] == pytest.approx(7.0 - 2 * np.pi)


def test_joints_of_mujoco_have_their_names() -> None:
    env = gym.make("InvertedPendulum-v5")
    obs, _ = env.reset(seed=0)
    known = simulator(env)
    assert known is not None
    np.testing.assert_allclose(known.read(), obs)
    assert known.names == ("slider position", "hinge position", "slider velocity", "hinge velocity")
    assert known.units == ("m", "rad", "m/s", "rad/s")
    assert [known.names[k] for k in known.plane] == ["hinge position", "hinge velocity"]


def test_of_others_nothing_is_known() -> None:
    assert simulator(gym.make("FrozenLake-v1")) is None


def test_a_trace_has_names_and_units_and_the_hidden_velocity() -> None:
    env = DropObservation(gym.make("Pendulum-v1"), "velocity")
    found = trace(LiquidTD3(2, 10, 1, seed=0, device="cpu"), env, seed=1, max_steps=8)
    quantities = found.quantities
    assert (quantities["dt"].unit, quantities["physics"].columns) == ("control steps", ("angle", "angular velocity"))
    for name, one in quantities.items():
        assert len(one.values) == 8, name
        assert one.columns == () or one.values.shape == (8, len(one.columns)), name
    np.testing.assert_allclose(np.cos(found.physics[:, 0]), found.observation[:, 0], atol=1e-5)
    other = trace(LiquidTD3(2, 10, 1, seed=0, device="cpu"), env, seed=1, episode=2, max_steps=8)
    assert other.reset_seed != found.reset_seed
