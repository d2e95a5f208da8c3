"""``info["state"]``: what the wrapper gives, how environments read it, and what is refused."""

from __future__ import annotations

import logging
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from velora.core.errors import NonFiniteError, SpaceError
from velora.envs import Environments, describe, privileged_size
from velora.envs.wrappers import (
    DropObservation,
    Flicker,
    HoldAction,
    NoisyObservation,
    PreviousActionReward,
    PrivilegedState,
    wrap,
)
from velora.models import LiquidTD3

BARE = "Pendulum-v1"


class Tells(gym.Env[Any, Any]):
    """An environment that shows one number, and gives whatever it is told to as its state."""

    observation_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
    action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, at_reset: Any, at_step: Any = None) -> None:
        self._at_reset, self._at_step = at_reset, at_step

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        return np.zeros(1, np.float32), {} if self._at_reset is None else {"state": self._at_reset}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return np.zeros(1, np.float32), 0.0, False, False, {} if self._at_step is None else {"state": self._at_step}


def reading(env: gym.Env[Any, Any], privileged: int) -> Environments:
    assert env.observation_space.shape is not None
    return Environments([env], obs_dim=env.observation_space.shape[0], privileged=privileged)


def agent(privileged: int) -> LiquidTD3:
    return LiquidTD3(2, 4, 1, seed=0, device="cpu", critic_units=(4,), buffer_size=10, privileged=privileged)


def test_the_state_is_the_observation_before_anything_hides_it() -> None:
    bare = gym.make(BARE)
    hidden: Any = PrivilegedState(HoldAction(gym.make(BARE), [2], order="cycle"))
    for around in (
        lambda env: DropObservation(env, "velocity"),
        lambda env: NoisyObservation(env, 0.3),
        lambda env: Flicker(env, 0.5),
        PreviousActionReward,
    ):
        hidden = around(hidden)
    seen, _ = bare.reset(seed=3)
    _, info = hidden.reset(seed=3)
    assert np.array_equal(info["state"], seen)
    for torque in (0.5, -1.0):
        for _ in range(2):
            seen = bare.step(np.array([torque], np.float32))[0]
        obs, *_, info = hidden.step(np.array([torque], np.float32))
        assert np.array_equal(info["state"], seen)
        assert obs.shape == (4,)
        assert info["dt"] == 2.0


def test_it_is_described_and_made_again() -> None:
    env = DropObservation(PrivilegedState(gym.make(BARE)), "velocity")
    said = describe(env)["wrappers"]
    assert said[0] == {"name": "PrivilegedState", "kwargs": {}}
    again = wrap(gym.make(BARE), said)
    assert privileged_size(again) == privileged_size(env) == 3
    assert np.array_equal(again.reset(seed=1)[1]["state"], env.reset(seed=1)[1]["state"])


def test_environments_read_it_at_every_answer_and_only_where_they_are_asked_to() -> None:
    envs = reading(DropObservation(PrivilegedState(gym.make(BARE)), "velocity"), 3)
    first = envs.reset(0, seed=4)
    seen, _ = (bare := gym.make(BARE)).reset(seed=4)
    assert np.array_equal(envs.privileged[0], seen)
    assert np.array_equal(envs.obs[0], seen[:2])
    assert first.seen == seen[:2].tobytes() + seen.tobytes()  # so that a resume sees whether it is the same
    action = np.array([1.0], np.float32)
    step, then = envs.step(0, action), bare.step(action)[0]
    assert np.array_equal(envs.privileged[0], then)
    assert step.seen == then[:2].tobytes() + then.tobytes()
    blind = reading(Tells("whatever", object()), 0)
    assert blind.reset(0, seed=0).seen == np.zeros(1, np.float32).tobytes()
    blind.step(0, action)
    assert blind.privileged.shape == (1, 0)


def test_any_shape_and_type_of_numbers_is_a_state() -> None:
    envs = reading(Tells([[1, 2], [3, 4]], np.arange(4, dtype=np.int64)), 4)
    envs.reset(0, seed=0)
    assert envs.privileged.tolist() == [[1.0, 2.0, 3.0, 4.0]]
    envs.step(0, np.zeros(1, np.float32))
    assert envs.privileged.tolist() == [[0.0, 1.0, 2.0, 3.0]]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (None, r'gave no info\["state"\] at reset, and the agent has privileged=2; give 2 numbers'),
        ([1.0, 2.0, 3.0], r'expected 2 numbers as info\["state"\] of reset, .*privileged=2, got 3 numbers'),
        ("on", "got 'on'"),
        ({"x": 1.0, "y": 2.0}, r"got \{'x': 1.0, 'y': 2.0\}"),
        ([[1.0], [1.0, 2.0]], r"got \[\[1.0\], \[1.0, 2.0\]\]"),
    ],
)
def test_what_is_no_state_is_refused_in_one_line(state: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message) as caught:
        reading(Tells(state), 2).reset(0, seed=0)
    assert "\n" not in str(caught.value)


def test_a_state_that_changes_its_size_or_is_not_finite_is_refused() -> None:
    for at_step, error, message in (
        ([1.0], SpaceError, "of step, since the agent has privileged=2, got 1 numbers"),
        (None, SpaceError, r'gave no info\["state"\] at step'),
        ([1.0, np.nan], NonFiniteError, "expected numbers that are finite in float32"),
        ([1.0, 1e300], NonFiniteError, "expected numbers that are finite in float32"),
    ):
        envs = reading(Tells([0.0, 0.0], at_step), 2)
        envs.reset(0, seed=0)
        with pytest.raises(error, match=message):
            envs.step(0, np.zeros(1, np.float32))


def test_the_wrapper_asks_for_a_flat_box() -> None:
    with pytest.raises(SpaceError, match="PrivilegedState: expected a flat box of observations"):
        PrivilegedState(gym.make("FrozenLake-v1"))


def test_an_agent_says_before_training_what_does_not_fit(caplog: pytest.LogCaptureFixture) -> None:
    env = DropObservation(PrivilegedState(gym.make(BARE)), "velocity")
    with pytest.raises(SpaceError, match=r'Pendulum-v1: info\["state"\] has 3 numbers, the agent expects privileged=5'):
        agent(privileged=5).adapt(env)
    with caplog.at_level(logging.WARNING):
        agent(privileged=0).adapt(env)
    assert "Pendulum-v1 gives 3 numbers as info" in caplog.text
    caplog.clear()
    agent(privileged=3).adapt(env)
    agent(privileged=9).adapt(DropObservation(gym.make(BARE), "velocity"))  # its first reset will tell
    assert not caplog.text
