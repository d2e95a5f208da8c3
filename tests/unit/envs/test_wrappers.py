"""Partial observation and irregular time, checked against what the simulators themselves know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import MultiBinary
from gymnasium.wrappers import TransformAction

from velora.core.errors import SettingError, SpaceError, VeloraError
from velora.envs import EnvironmentSource, describe, wrappers
from velora.envs.wrappers import (
    DropObservation,
    Flicker,
    HoldAction,
    NoisyObservation,
    PreviousActionReward,
    wrap,
)
from velora.envs.wrappers.drop_observation import VELOCITIES

Env = gym.Env[Any, Any]
BOX = gym.spaces.Box(-1.0, 1.0, (1,))


class Count(gym.Env[Any, Any]):
    """Observe and earn the number of steps taken, and end after ``length`` of them."""

    action_space = gym.spaces.Box(-2.0, 4.0, (1,))

    def __init__(self, length: int = 100, **info: Any) -> None:
        self.observation_space = gym.spaces.Box(0.0, 1000.0, (2,))
        self.length, self.info = length, info

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.n = 0
        return np.full(2, 0.0, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.n += 1
        return np.full(2, self.n, np.float32), float(self.n), self.n == self.length, False, dict(self.info)


def play(env: Env, seed: int | None, n: int) -> list[tuple[Any, ...]]:
    """Act the same way from a reset on; return what is seen, earned and told."""
    env.reset(seed=seed)
    played = []
    for t in range(n):
        obs, reward, terminated, truncated, info = env.step(
            np.full(env.action_space.shape or (), np.sin(t), np.float32)
        )
        played.append((obs.tolist(), float(reward), terminated, truncated, info.get("dt")))
    return played


# ------------------------------------------------------------------------------------------------------- HoldAction


def test_an_action_is_held_and_its_rewards_are_summed() -> None:
    held = play(HoldAction(Count(), [3, 1, 2], "cycle"), 0, 4)
    assert held == [
        ([3.0, 3.0], 6.0, False, False, 3.0),
        ([4.0, 4.0], 4.0, False, False, 1.0),
        ([6.0, 6.0], 11.0, False, False, 2.0),
        ([9.0, 9.0], 24.0, False, False, 3.0),
    ]


def test_a_cycle_begins_again_with_every_episode() -> None:
    env = HoldAction(Count(), [3, 1], "cycle")
    assert [dt for *_, dt in play(env, 0, 3) + play(env, None, 3)] == [3.0, 1.0, 3.0] * 2


def test_the_end_of_an_episode_cuts_a_hold_short() -> None:
    assert play(HoldAction(Count(length=5), [3]), 0, 2)[1] == ([5.0, 5.0], 9.0, True, False, 2.0)
    limited = gym.wrappers.TimeLimit(Count(), 4)
    assert play(HoldAction(limited, [3]), 0, 2)[1] == ([4.0, 4.0], 4.0, False, True, 1.0)


def test_holds_are_uniform_over_the_list() -> None:
    dts = [dt for *_, dt in play(HoldAction(Count(length=10**9), [1, 2, 2, 7]), 3, 4000)]
    counts = {value: dts.count(value) for value in (1.0, 2.0, 7.0)}
    assert sum(counts.values()) == 4000
    for value, expected in ((1.0, 1000), (2.0, 2000), (7.0, 1000)):  # 5 standard deviations
        assert abs(counts[value] - expected) < 160


def test_what_an_environment_says_of_time_counts() -> None:
    assert play(HoldAction(Count(dt=0.5), [3]), 0, 1)[0][4] == 1.5
    assert play(HoldAction(Count(timestamp=7.0), [3]), 0, 1)[0][4] is None
    assert play(HoldAction(Count(dt=None), [3]), 0, 1)[0][4] == 3.0
    assert play(HoldAction(Count(timestamp=7.0, dt=None), [3]), 0, 1)[0][4] is None
    assert play(HoldAction(HoldAction(Count(), [2]), [3]), 0, 1)[0] == ([6.0, 6.0], 21.0, False, False, 6.0)


@pytest.mark.parametrize(
    ("dt", "said"),
    [
        (0.0, "got 0 from info"),
        (-1.0, "got -1 from info"),
        (float("nan"), "got nan from"),
        ("soon", "expected a number as dt, got 'soon'"),
    ],
)
def test_no_held_step_may_take_no_time(dt: Any, said: str) -> None:
    """Not even where the others make up for it, which a sum would hide."""
    env = HoldAction(Count(dt=dt), [2])
    env.reset(seed=0)
    with pytest.raises(SpaceError, match=f"HoldAction: .*{said}"):
        env.step(np.zeros(1, np.float32))


# -------------------------------------------------------------------------------------------------- DropObservation


MUJOCO = [
    "InvertedPendulum-v5", "InvertedDoublePendulum-v5", "HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Ant-v5",
    "Swimmer-v5", "Reacher-v5", "Pusher-v5", "Humanoid-v5", "HumanoidStandup-v5",
]  # fmt: skip


@pytest.mark.parametrize("env_id", MUJOCO)
def test_the_velocities_of_mujoco_tasks_are_those_of_the_simulator(env_id: str) -> None:
    env = gym.make(env_id)
    env.reset(seed=1)
    for _ in range(3):
        obs = env.step(env.action_space.sample())[0]
    simulator: Any = env.unwrapped
    limit = 10.0 if env_id.startswith(("Hopper", "Walker", "InvertedD")) else np.inf
    size, velocities = VELOCITIES[env_id.partition("-")[0]]
    assert size == len(obs)
    joints = simulator.data.qvel.clip(-limit, limit).tolist()
    if env_id in ("Reacher-v5", "Pusher-v5"):
        joints = joints[: len(velocities)]  # the rest are those of the target and the object
    if env_id.startswith("Humanoid"):
        joints += simulator.data.cvel[1:].flatten().tolist()  # of the bodies, without the world
    assert obs[list(velocities)].tolist() == joints
    dropped = DropObservation(env, "velocity")
    assert dropped.observation_space.shape == (size - len(velocities),)
    seen = dropped.observation(obs)
    assert sorted([*seen.tolist(), *obs[list(velocities)].tolist()]) == sorted(obs.tolist())


@pytest.mark.parametrize(
    ("env_id", "state"),
    [
        ("CartPole-v1", [0.1, 0.2, 0.05, 0.4]),
        ("MountainCar-v0", [-0.5, 0.01]),
        ("MountainCarContinuous-v0", [-0.5, 0.01]),
    ],
)
def test_the_velocities_of_classic_control_say_where_the_positions_go(env_id: str, state: list[float]) -> None:
    """With Euler steps, the next position differs from this one by a velocity times the step, up to its change."""
    env = gym.make(env_id)
    before, _ = env.reset(seed=0)
    base: Any = env.unwrapped
    base.state = np.array(state)
    before = np.array(state)
    after = env.step(env.action_space.sample() * 0)[0]
    velocities = list(VELOCITIES[env_id.partition("-")[0]][1])
    positions = [i for i in range(len(before)) if i not in velocities]
    tau = getattr(base, "tau", 1.0)
    moved = (after - before)[positions] / tau
    close = np.abs(moved - before[velocities]) < 0.02
    close |= np.abs(moved - after[velocities]) < 0.02
    assert close.all()
    assert np.allclose(DropObservation(env, "velocity").observation(after), after[positions])


def test_the_velocities_of_pendulum_acrobot_and_lunar_lander() -> None:
    pendulum = DropObservation(gym.make("Pendulum-v1"), "velocity")
    seen, _ = pendulum.reset(seed=3)
    theta, _ = pendulum.unwrapped.state  # type: ignore[attr-defined]
    assert np.allclose(seen, [np.cos(theta), np.sin(theta)])
    acrobot = DropObservation(gym.make("Acrobot-v1"), "velocity")
    seen, _ = acrobot.reset(seed=3)
    first, second, *_ = acrobot.unwrapped.state  # type: ignore[attr-defined]
    assert np.allclose(seen, [np.cos(first), np.sin(first), np.cos(second), np.sin(second)])
    lander = DropObservation(gym.make("LunarLanderContinuous-v3"), "velocity")
    lander.reset(seed=3)
    for _ in range(3):
        seen = lander.step(np.zeros(2, np.float32))[0]
    body: Any = lander.unwrapped.lander  # type: ignore[attr-defined]
    assert lander.observation_space.shape == seen.shape == (5,)
    assert seen[2] == pytest.approx(body.angle)  # position x and y, angle, two legs
    assert seen[3:].tolist() == [0.0, 0.0]


def test_positions_may_be_named() -> None:
    env = DropObservation(gym.make("Pendulum-v1"), [2, 0])
    full, _ = gym.make("Pendulum-v1").reset(seed=4)
    assert env.reset(seed=4)[0].tolist() == [full[1]]
    assert env.observation_space == gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
    assert describe(env)["wrappers"] == [{"name": "DropObservation", "kwargs": {"drop": [0, 2]}}]


# --------------------------------------------------------------------------------------- noise, flicker, last action


def test_noise_has_the_stated_deviations() -> None:
    noisy = NoisyObservation(Count(length=10**9), [0.0, 3.0])
    played = play(noisy, 5, 4000)
    seen = np.array([obs for obs, *_ in played]) - np.arange(1, 4001)[:, None]
    assert (seen[:, 0] == 0.0).all()
    assert seen[:, 1].std() == pytest.approx(3.0, rel=0.06)
    assert abs(seen[:, 1].mean()) < 0.25
    assert noisy.reset(seed=1)[0].dtype == np.float32 == noisy.observation_space.dtype
    assert noisy.observation_space.contains(noisy.reset(seed=1)[0])


def test_flicker_hides_everything_or_nothing() -> None:
    env = Flicker(Count(length=10**9), 0.25)
    hidden = [obs == [0.0, 0.0] for obs, *_ in play(env, 2, 4000)]
    assert abs(sum(hidden) - 1000) < 140  # 5 standard deviations
    assert all(obs in ([0.0, 0.0], [t, t]) for t, (obs, *_) in enumerate(play(env, 2, 50), start=1))
    assert all(obs != [0.0, 0.0] for obs, *_ in play(Flicker(Count(), 0.0), 2, 50))
    assert all(obs == [0.0, 0.0] for obs, *_ in play(Flicker(Count(), 1.0), 2, 50))
    far = Flicker(gym.wrappers.TransformObservation(Count(), lambda o: o + 5, gym.spaces.Box(5.0, 6.0, (2,))), 1.0)
    assert far.observation_space.contains(far.reset(seed=0)[0])


def test_a_previous_discrete_action_is_one_number_for_each() -> None:
    env = PreviousActionReward(gym.make("CartPole-v1"))
    assert env.reset(seed=0)[0][4:].tolist() == [0.0, 0.0, 0.0]
    assert env.step(1)[0][4:].tolist() == [0.0, 1.0, 1.0]
    assert env.step(np.int64(0))[0][4:].tolist() == [1.0, 0.0, 1.0]
    assert env.observation_space.contains(env.step(0)[0])


def test_the_last_action_and_reward_are_seen() -> None:
    env = PreviousActionReward(Count())
    assert env.reset(seed=0)[0].tolist() == [0.0, 0.0, 0.0, 0.0]
    for action, scaled in ((-2.0, -1.0), (4.0, 1.0), (1.0, 0.0), (9.0, 1.0)):
        obs, reward, *_ = env.step(np.array([action], np.float32))
        assert obs.tolist() == [env.unwrapped.n, env.unwrapped.n, scaled, reward]  # type: ignore[attr-defined]
        assert env.observation_space.contains(obs)
    assert env.reset(seed=0)[0].tolist() == [0.0, 0.0, 0.0, 0.0]


# ---------------------------------------------------------------------------------------------- what all have in common


def stacked(env: Env) -> Env:
    return PreviousActionReward(Flicker(NoisyObservation(DropObservation(HoldAction(env), "velocity"), 0.1), 0.3))


RANDOM: list[Callable[[Env], Env]] = [
    lambda env: HoldAction(env), lambda env: NoisyObservation(env, 0.5), lambda env: Flicker(env, 0.5), stacked
]  # fmt: skip


@pytest.mark.parametrize("wrapper", RANDOM, ids=["hold", "noise", "flicker", "all"])
def test_the_reset_seed_alone_decides_an_episode(wrapper: Callable[[Env], Env]) -> None:
    env = wrapper(gym.make("Pendulum-v1"))
    first = play(env, 7, 30)
    assert play(env, 8, 12) != first[:12]
    assert play(env, 7, 30) == first
    assert play(wrapper(gym.make("Pendulum-v1")), 7, 30) == first
    assert play(env, None, 30) != first  # without a seed it goes on drawing
    env = wrapper(gym.make("Pendulum-v1"))
    assert len(play(env, None, 3)) == 3


def test_every_wrapper_is_offered_by_name() -> None:
    assert sorted(wrappers.__all__) == sorted([*wrappers.KNOWN, "wrap"])
    assert all(getattr(wrappers, name) is row.kind for name, row in wrappers.KNOWN.items())


def test_wrappers_are_made_again_by_an_environment_s_spec() -> None:
    env = stacked(gym.make("Pendulum-v1", g=5.0))
    again = EnvironmentSource(env).make()
    assert play(again, 7, 30) == play(env, 7, 30)
    assert describe(again) == describe(env)


def test_wrappers_are_made_again_by_their_description() -> None:
    env = stacked(gym.wrappers.RescaleAction(gym.make("Pendulum-v1"), np.float32(-1), np.float32(1)))
    described = describe(env)
    assert described["id"] == "Pendulum-v1"
    number = {"dtype": "float32"}
    assert described["wrappers"] == [
        {
            "name": "RescaleAction",
            "kwargs": {"min_action": {"array": -1.0, **number}, "max_action": {"array": 1.0, **number}},
        },
        {"name": "HoldAction", "kwargs": {"hold": [1, 2, 3, 4], "order": "random"}},
        {"name": "DropObservation", "kwargs": {"drop": "velocity"}},
        {"name": "NoisyObservation", "kwargs": {"std": 0.1}},
        {"name": "Flicker", "kwargs": {"probability": 0.3}},
        {"name": "PreviousActionReward", "kwargs": {}},
    ]
    assert play(wrap(gym.make("Pendulum-v1"), described["wrappers"]), 7, 30) == play(env, 7, 30)
    assert describe(HoldAction(Count(), [2]))["wrappers"] == [
        {"name": "HoldAction", "kwargs": {"hold": [2], "order": "random"}}
    ]


def dropping(env: Env, drop: Any) -> Env:
    return DropObservation(env, drop)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: HoldAction(Count(), []), SettingError, r"^hold: expected a list of whole numbers .* got \[\]"),
        (lambda: HoldAction(Count(), [1, 0]), SettingError, "hold: expected"),
        (lambda: HoldAction(Count(), [1.5]), SettingError, "hold: expected"),  # type: ignore[list-item]
        (lambda: HoldAction(Count(), 3), SettingError, "such as .* got 3"),  # type: ignore[arg-type]
        (lambda: HoldAction(Count(), [1], "up"), SettingError, "order: expected random or cycle, got 'up'"),
        (lambda: dropping(Count(), "velocity"), SettingError, "of Count aren't known, only those of Acrobot"),
        (lambda: dropping(Count(), "speed"), SettingError, "drop: expected velocity or a list of positions"),
        (lambda: dropping(Count(), [2]), SettingError, "positions from 0 to 1, but not all of them, got"),
        (lambda: dropping(Count(), [0, 1]), SettingError, "but not all of them"),
        (lambda: dropping(Count(), []), SettingError, "but not all of them"),
        (lambda: dropping(Count(), 1), SettingError, "but not all of them, got 1"),
        (lambda: dropping(gym.make("Hopper-v5", exclude_current_positions_from_observation=False), "velocity"),
         SpaceError, "known for observations of 11 numbers, these have 12"),
        (lambda: dropping(gym.make("FrozenLake-v1"), [0]), SpaceError, "DropObservation: expected a flat box"),
        (lambda: NoisyObservation(Count(), -1.0), SettingError, "std: expected a deviation of at least 0"),
        (lambda: NoisyObservation(Count(), [1.0]), SettingError, "one for each of 2 components"),
        (lambda: NoisyObservation(Count(), float("nan")), SettingError, "std"),
        (lambda: NoisyObservation(Count(), "much"), SettingError, "got 'much'"),  # type: ignore[arg-type]
        (lambda: Flicker(Count(), 1.5), SettingError, "probability: expected a number from 0 to 1, got 1.5"),
        (lambda: Flicker(Count(), float("nan")), SettingError, "probability"),
        (
            lambda: PreviousActionReward(TransformAction(gym.make("CartPole-v1"), lambda a: a[0], MultiBinary(1))),
            SpaceError,
            "expected actions of a flat bounded box, or discrete ones, got MultiBinary",
        ),
        (lambda: wrap(Count(), [{"name": "os.system"}]), SettingError, "expected one of HoldAction, .* got 'os"),
        (lambda: wrap(Count(), [{"name": ["HoldAction"]}]), SettingError, "wrappers: expected one of"),
        (lambda: wrap(Count(), [{"name": "HoldAction", "kwargs": {"env": 1}}]), SettingError, "takes hold, order"),
        (lambda: wrap(Count(), [{"name": "HoldAction", "kwargs": [1]}]), SettingError, "takes hold, order"),
        (lambda: wrap(Count(), [{"name": "PreviousActionReward", "kwargs": {"x": 1}}]), SettingError, "no keywords"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(make: Callable[[], Env], error: type[VeloraError], message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        make()
    assert "\n" not in str(raised.value)
