"""Delayed actions and observations, against what was sent and when it was due."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from velora.checkpoint import Checkpoint
from velora.cli.settings.objects import make_environment
from velora.core import seeding
from velora.core.errors import SettingError, SpaceError, VeloraError
from velora.envs import Environments, EnvironmentSource, describe, image_settings
from velora.envs.images import covering_wrapper
from velora.envs.wrappers import Delay, HoldAction, NoisyObservation, PreviousActionReward, wrap
from velora.models import LiquidDDPG

Env = gym.Env[Any, Any]
WIDE = gym.spaces.Box(-9.0, 9.0, (1,))


class Echo(gym.Env[Any, Any]):
    """Observe the step's number and the action that acted, always in the same array; write into the action too."""

    observation_space = gym.spaces.Box(-1000.0, 1000.0, (2,))

    def __init__(self, action_space: gym.Space[Any] = WIDE, *, length: int = 10**6, writes: bool = True) -> None:
        self.action_space, self.length, self.writes = action_space, length, writes
        self.obs = np.zeros(2, np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.obs[:] = 0.0
        self.n = 0
        self.acted: list[float] = []
        return self.obs, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action)
        self.n += 1
        self.acted.append(np.asarray(action).item())
        self.obs[:] = self.n, self.acted[-1]
        if self.writes and isinstance(action, np.ndarray):
            action[...] = 7.0
        return self.obs, 10.0 * self.n, self.n == self.length, False, {"n": self.n}


def play(env: Env, n: int, seed: int | None = 0) -> tuple[list[Any], list[int]]:
    """Send 1, 2, ... in one array; return which of them acted (0 is the neutral one), and which step was seen."""
    env.reset(seed=seed)
    action, seen = np.zeros(1, np.float32), []
    for t in range(1, n + 1):
        action[:] = t % 9
        obs = env.step(action)[0]
        seen.append(int(obs[0]))
        obs[...] = -1.0
    return env.unwrapped.acted, seen  # type: ignore[attr-defined]


def test_constant_delays() -> None:
    assert play(Delay(Echo(), actions=2), 6) == ([0, 0, 1, 2, 3, 4], [1, 2, 3, 4, 5, 6])
    assert play(Delay(Echo(), observations=2), 6) == ([1, 2, 3, 4, 5, 6], [0, 0, 1, 2, 3, 4])
    assert play(Delay(Echo(), 1, 3), 6) == ([0, 1, 2, 3, 4, 5], [0, 0, 0, 1, 2, 3])
    assert play(Delay(Echo(), [2, 2], [1, 1]), 5) == play(Delay(Echo(), 2, 1), 5)
    assert play(Delay(Echo(), 9), 5)[0] == [0, 0, 0, 0, 0]
    for none in (Delay(Echo()), Delay(Echo(), 0, 0), Delay(Echo(), [0, 0], [0, 0])):
        assert play(none, 4) == ([1, 2, 3, 4], [1, 2, 3, 4])


def test_an_episode_begins_with_nothing_under_way() -> None:
    env = Delay(Echo(), 2, 1)
    assert play(env, 4) == play(env, 4) == ([0, 0, 1, 2], [0, 1, 2, 3])


def test_reward_end_and_info_are_those_of_the_step() -> None:
    env = Delay(Echo(length=3), 1, 2)
    env.reset(seed=0)
    steps = [env.step(np.ones(1, np.float32)) for _ in range(3)]
    assert [(int(obs[0]), *rest) for obs, *rest in steps] == [
        (0, 10.0, False, False, {"n": 1}),
        (0, 20.0, False, False, {"n": 2}),
        (1, 30.0, True, False, {"n": 3}),
    ]


def newest(sent: int, delays: list[int]) -> list[int]:
    """Return at every step the newest of those that have arrived, 0 before the first; number i is sent at step i."""
    return [max([0, *(i for i in range(1, t + 1) if i + delays[i - 1] <= t)]) for t in range(1, sent + 1)]


def test_the_newest_that_has_arrived_counts_where_delays_are_random() -> None:
    n, seed = 400, 11
    env = Delay(Echo(gym.spaces.Box(0.0, 1000.0, (1,))), actions=[1, 4], observations=[0, 3])
    env.reset(seed=seed)
    seen = [int(env.step(np.full(1, t, np.float32))[0][0]) for t in range(1, n + 1)]
    acted = env.unwrapped.acted
    drawn = {
        name: [int(d) for d in seeding.generator(seed, f"Delay {name}").integers(least, least + 4, n)]
        for name, least in (("actions", 1), ("observations", 0))
    }
    assert acted == newest(n, drawn["actions"])
    assert seen == newest(n, drawn["observations"])
    assert acted == sorted(acted)  # the order is kept
    assert set(drawn["actions"]) == {1, 2, 3, 4}
    assert set(drawn["observations"]) == {0, 1, 2, 3}
    ages = np.arange(1, n + 1)[10:] - np.array(seen)[10:]
    assert set(ages) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("acted", "neutral"),
    [
        (gym.spaces.Box(-2.0, 4.0, (1,)), 0.0),
        (gym.spaces.Box(1.0, 4.0, (1,)), 1.0),
        (gym.spaces.Box(-4.0, -3.0, (1,), np.float64), -3.0),
        (gym.spaces.Box(2, 4, (1,), np.int32), 2),
        (gym.spaces.Discrete(3), 0),
        (gym.spaces.Discrete(3, start=5), 5),
    ],
)
def test_a_neutral_action_acts_until_the_first_arrives(acted: gym.Space[Any], neutral: float) -> None:
    """The environment asserts that each action is of its space, type included."""
    acted.seed(1)
    env = Delay(Echo(acted), actions=2)
    assert env.action_space is acted
    assert env.observation_space is Echo.observation_space
    env.reset(seed=0)
    sent = [acted.sample() for _ in range(4)]
    expected = [neutral, neutral, *(np.asarray(action).item() for action in sent[:2])]
    for action in sent:
        env.step(action)
    assert env.unwrapped.acted == expected


def test_discrete_actions_and_observations_are_delayed() -> None:
    env, undelayed = Environments([Delay(gym.make("CartPole-v1"), actions=1)], obs_dim=4), gym.make("CartPole-v1")
    env.reset(0, seed=3)
    undelayed.reset(seed=3)
    for now, before in ((1, 0), (1, 1), (0, 1), (1, 0)):
        assert np.array_equal(env.step(0, np.int64(now)).obs, undelayed.step(before)[0])
    lake = Delay(gym.make("FrozenLake-v1", is_slippery=False), observations=1)
    assert lake.observation_space == gym.spaces.Discrete(16)
    lake.reset(seed=0)
    assert [lake.step(action)[0] for action in (1, 1, 2)] == [0, 4, 8]


# ------------------------------------------------------------------------------------------------ with other wrappers


def test_around_held_actions_a_step_is_the_agent_s_and_inside_the_environment_s() -> None:
    outside = Delay(HoldAction(Echo(writes=False), [3, 1], "cycle"), 1, 1)
    assert play(outside, 4) == ([0, 0, 0, 1, 2, 2, 2, 3], [0, 3, 4, 7])
    outside.reset(seed=0)
    assert [outside.step(np.zeros(1, np.float32))[4]["dt"] for _ in range(3)] == [3.0, 1.0, 3.0]
    inside = HoldAction(Delay(Echo(writes=False), 1, 1), [3, 1], "cycle")
    assert play(inside, 4) == ([0, 1, 1, 1, 2, 3, 3, 3], [2, 3, 6, 7])


def test_an_observation_keeps_its_noise_and_the_last_action_is_the_one_that_was_sent() -> None:
    env = PreviousActionReward(Delay(NoisyObservation(Echo(), 0.5), actions=1, observations=[0, 4]))
    env.reset(seed=5)
    steps = [env.step(np.full(1, t % 9, np.float32)) for t in range(1, 60)]
    seen = {round(float(obs[1]), 6) for obs, *_ in steps}
    assert len(seen) < 45  # some are seen twice, with the same noise
    assert [float(obs[2]) for obs, *_ in steps[:4]] == pytest.approx([1 / 9, 2 / 9, 3 / 9, 4 / 9])


class Pixels(gym.Env[Any, Any]):
    observation_space = gym.spaces.Box(0, 255, (8, 8), np.uint8)
    action_space = WIDE


def test_images_stay_images() -> None:
    delayed = Delay(Pixels(), 0, [1, 2])
    assert image_settings(delayed) == image_settings(Pixels()) == {"image": (8, 8), "image_range": None}
    assert covering_wrapper(delayed) is None


# ------------------------------------------------------------------------------------------------ seeds and checkpoints


def random() -> Env:
    env: Env = Delay(gym.make("Pendulum-v1"), actions=[0, 3], observations=[1, 5])
    return env


def lived(env: Env, seed: int | None, n: int = 30) -> list[list[float]]:
    env.reset(seed=seed)
    return [env.step(np.full(1, np.sin(t), np.float32))[0].tolist() for t in range(n)]


def test_the_reset_seed_alone_decides_an_episode() -> None:
    env = random()
    first = lived(env, 7)
    assert lived(env, 8) != first
    assert lived(env, 7) == lived(random(), 7) == first
    for seed in range(12):
        lived(env, seed + 100, 2)  # an episode that ends with much under way
        assert lived(env, seed, 9) == lived(random(), seed, 9)
    assert lived(env, None) != first
    assert len(lived(random(), None, 5)) == 5


def test_an_episode_is_lived_again_up_to_what_is_under_way() -> None:
    actions = np.random.default_rng(0).uniform(-2, 2, (40, 1)).astype(np.float32)
    one, other = (Environments([random()], obs_dim=3) for _ in range(2))
    one.reset(0, seed=4)
    for action in actions[:25]:
        one.step(0, action.copy())
    list(other.replay(0, seed=4, actions=actions[:25]))
    for action in actions[25:]:
        assert np.array_equal(one.step(0, action.copy()).obs, other.step(0, action.copy()).obs)


def test_it_is_made_again_by_spec_and_description() -> None:
    described = [{"name": "Delay", "kwargs": {"actions": [0, 3], "observations": 2}}]
    env = Delay(gym.make("Pendulum-v1"), actions=(0, np.int64(3)), observations=np.int64(2))
    assert describe(env)["wrappers"] == described
    again = EnvironmentSource(env).make()
    assert describe(again) == describe(env)
    assert lived(again, 3) == lived(env, 3) == lived(wrap(gym.make("Pendulum-v1"), described), 3)


def test_a_checkpoint_names_it(tmp_path: Any) -> None:
    agent = LiquidDDPG(3, 5, 1, warmup_steps=20, seed=0, device="cpu")
    agent.train(random(), 8, n_steps=24, progress_bar=False, summary=False)
    agent.save(tmp_path / "saved")
    environment = Checkpoint.open(tmp_path / "saved").metadata.environment
    assert environment is not None
    assert environment["wrappers"] == [{"name": "Delay", "kwargs": {"actions": [0, 3], "observations": [1, 5]}}]


def delayed(option: str, value: Any) -> Callable[[], Env]:
    return lambda: make_environment("Pendulum-v1", {}, wrappers=[{"name": "Delay", "kwargs": {option: value}}])


@pytest.mark.parametrize(
    "value", [-1, 1.5, 2.0, True, "2", None, 10_001, [3, 0], [0, -1], [1], [0, 1, 2], [0, 1.5], []]
)
@pytest.mark.parametrize("option", ["actions", "observations"])
def test_another_delay_is_refused_in_one_line(option: str, value: Any) -> None:
    with pytest.raises(SettingError) as raised:
        delayed(option, value)()
    assert str(raised.value) == (
        f"env.delay.{option}: expected a whole number of steps from 0 to 10,000, or the least and the most such as "
        f"[0,3], got {value!r}"
    )


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (delayed("action", 1), SettingError, "wrappers: Delay takes actions, observations, got"),
        (lambda: Delay(Echo(gym.spaces.MultiBinary(2)), 1), SpaceError,
         r"^Delay: expected actions of a box, or discrete ones, got MultiBinary\(2\)$"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(make: Callable[[], Env], error: type[VeloraError], message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        make()
    assert "\n" not in str(raised.value)
