"""Actions: bounds that float32 can't hold, spaces that no agent serves, and what to do about them."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from tests.shared import QUIET
from velora.core.errors import SpaceError
from velora.envs import ActionBounds, check_spaces, dimensions, is_discrete
from velora.envs.wrappers import PreviousActionReward
from velora.models import LiquidDDPG

SEEN = spaces.Box(-1.0, 1.0, (2,))


class Acted(gym.Env[Any, Any]):
    """Refuse every action that isn't in its space."""

    observation_space = SEEN

    def __init__(self, acted: Any) -> None:
        self.action_space = acted

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.left = 12
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action), action
        self.left -= 1
        return np.zeros(2, np.float32), 0.0, self.left == 0, False, {}


def bounds(low: Any, high: Any, dtype: Any = np.float64) -> ActionBounds:
    found = check_spaces(Acted(spaces.Box(low, high, (1,), dtype)), state_dim=2, action_dim=1)
    assert isinstance(found, ActionBounds)
    return found


def test_an_action_never_leaves_a_box_of_doubles() -> None:
    """Rounded to the nearest number of float32, half of all bounds lie outside."""
    generator = np.random.default_rng(0)
    left = 0
    for _ in range(90):
        low, high = np.sort(generator.uniform(-3.0, 3.0, 2))
        box = spaces.Box(low, high, (1,), np.float64)
        own = bounds(low, high)
        for action in np.linspace(-1.5, 1.5, 41, dtype=np.float32):
            left += not box.contains(own.to_environment(np.array([action])))
    assert left == 0
    assert bounds(-0.1, 0.1).to_environment(np.array([-1.0, 1.0])[:, None]).ravel().tolist() == [
        float(np.nextafter(np.float32(-0.1), np.float32(0.0))),
        float(np.nextafter(np.float32(0.1), np.float32(0.0))),
    ]


def test_bounds_that_float32_holds_are_kept_to_the_bit() -> None:
    exact = bounds(-2.0, 2.0, np.float32)
    assert exact.to_environment(np.array([[-1.0], [1.0]])).ravel().tolist() == [-2.0, 2.0]
    odd = np.float32(0.1)
    own = bounds(-odd, odd, np.float32)
    assert own.to_environment(np.array([[-1.0], [1.0]])).ravel().tolist() == [-float(odd), float(odd)]


def test_bounds_without_room_between_them_are_refused() -> None:
    with pytest.raises(SpaceError, match="finite bounds, low below high"):
        bounds(1.0 + 1e-9, 1.0 + 2e-9)


def test_training_in_a_box_of_doubles_stays_inside() -> None:
    env = Acted(spaces.Box(np.array([-0.1, 0.3]), np.array([0.7, 0.9]), dtype=np.float64))
    LiquidDDPG(2, 4, 2, device="cpu", seed=0, warmup_steps=40, noise_std=2.0).train(env, 4, n_steps=60, **QUIET)


@pytest.mark.parametrize(
    ("acted", "advice"),
    [
        (spaces.MultiDiscrete([3, 2]), r"numpy\.unravel_index\(n, \(3, 2\)\)\), gymnasium\.spaces\.Discrete\(6\)\)"),
        (spaces.MultiBinary(3), r"numpy\.unravel_index\(n, \(2, 2, 2\)\), numpy\.int8\), .*Discrete\(8\)\)"),
        (spaces.Tuple((spaces.Discrete(2), SEEN)), "no agent gives such actions.*TransformAction"),
        (spaces.Dict({"a": SEEN}), "no agent gives such actions"),
        (spaces.Text(3), "no agent gives such actions"),
        (spaces.Box(-1, 1, (2, 2)), r"make them flat.*action\.reshape\(\(2, 2\)\)"),
        (spaces.Box(-np.inf, np.inf, (2,)), r"gymnasium\.spaces\.Box\(-1\.0, 1\.0, \(2,\)\)"),
    ],
)
def test_the_advice_for_other_actions_leads_somewhere(acted: Any, advice: str) -> None:
    for discrete in (False, True):
        if discrete and isinstance(acted, spaces.Box) and len(acted.shape) == 1:
            continue
        with pytest.raises(SpaceError, match=advice) as error:
            check_spaces(Acted(acted), state_dim=2, action_dim=2, discrete=discrete)
        assert "\n" not in str(error.value)
    with pytest.raises(SpaceError, match=advice):
        dimensions(Acted(acted))


def test_the_advice_for_several_choices_works() -> None:
    for acted in (spaces.MultiDiscrete([3, 2]), spaces.MultiBinary(2), spaces.MultiDiscrete([2, 2], start=[1, 5])):
        env: Any = Acted(acted)
        with pytest.raises(SpaceError) as error:
            dimensions(env)
        code = str(error.value).partition("wrap the environment in ")[2].partition(", and make")[0]
        wrapped = eval(code, {"gymnasium": gym, "numpy": np, "env": env})
        assert is_discrete(wrapped)
        n = dimensions(wrapped)[1]
        wrapped.reset(seed=0)
        seen = set()
        for number in range(n):
            wrapped.step(np.int64(number))
            seen.add(tuple(wrapped.action(np.int64(number)).tolist()))
        assert len(seen) == n


def test_a_clipped_box_counts_as_the_box() -> None:
    env = gym.wrappers.RecordEpisodeStatistics(gym.wrappers.ClipAction(gym.make("Pendulum-v1")))
    assert dimensions(env) == (3, 1)
    found = check_spaces(env, state_dim=3, action_dim=1)
    assert found.describe() == {"action_low": [-2.0], "action_high": [2.0]}
    agents = []
    for given in (env, gym.make("Pendulum-v1")):
        agent = LiquidDDPG(3, 4, 1, device="cpu", seed=0, warmup_steps=20)
        agent.train(given, 4, n_steps=40, **QUIET)
        agents.append(agent.predict(np.ones(3, np.float32))[0])
    assert np.array_equal(*agents)


def test_other_wrappers_around_a_clipped_box_count() -> None:
    inner = gym.wrappers.ClipAction(gym.make("Pendulum-v1"))
    outer = gym.wrappers.TransformAction(inner, lambda action: 2.0 * action, spaces.Box(-1.0, 1.0, (1,)))
    assert check_spaces(outer, state_dim=3, action_dim=1).describe() == {"action_low": [-1.0], "action_high": [1.0]}


def test_the_last_action_of_a_clipped_box_is_a_share_of_it() -> None:
    env = PreviousActionReward(gym.wrappers.ClipAction(gym.make("Pendulum-v1")))
    env.reset(seed=0)
    assert env.step(np.array([1.0], np.float32))[0][3].item() == 0.5
    assert check_spaces(env, state_dim=5, action_dim=1).describe() == {"action_low": [-2.0], "action_high": [2.0]}
