"""Spaces, making environments, and stepping them without automatic resets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from velora.core.errors import NonFiniteError, SpaceError
from velora.envs import ActionBounds, Environments, EnvironmentSource, check_spaces, describe
from velora.models import LiquidDDPG


class Toy(gym.Env[Any, Any]):
    """A box environment whose spaces and answers are arguments."""

    def __init__(self, observation: gym.Space[Any], action: gym.Space[Any], answer: Any = None, reward: float = 1.0):
        self.observation_space, self.action_space = observation, action
        self.answer, self.reward = answer, reward

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self.observation_space.sample() * 0, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.answer, self.reward, False, False, {}


BOX = gym.spaces.Box(-1.0, 1.0, (2,))


def test_actions_are_rescaled_to_the_bounds() -> None:
    env = gym.make("Pendulum-v1")
    bounds = check_spaces(env, state_dim=3, action_dim=1)
    assert isinstance(bounds, ActionBounds)
    assert (bounds.low, bounds.high) == ((-2.0,), (2.0,))
    scaled = bounds.to_environment(np.array([[-1.0], [0.0], [0.25], [1.0], [1.5]]))
    assert scaled.tolist() == [[-2.0], [0.0], [0.5], [2.0], [2.0]]
    assert scaled.dtype == np.float32
    lopsided = ActionBounds((0.0, -4.0), (1.0, 0.0))
    assert lopsided.to_environment(np.zeros(2)).tolist() == [0.5, -2.0]


@pytest.mark.parametrize(
    ("observation", "action", "message"),
    [
        (gym.spaces.Text(3), BOX, "expected observations of Box"),
        (gym.spaces.Box(0, 1, (2, 2)), BOX, "observations have 4 numbers, the agent expects state_dim=2"),
        (gym.spaces.Box(0, 1, (5,)), BOX, "observations have 5 numbers, the agent expects state_dim=2"),
        (BOX, gym.spaces.Discrete(3), "expected continuous actions"),
        (BOX, gym.spaces.Box(0, 5, (1,), np.int32), "expected actions of floating-point numbers"),
        (BOX, gym.spaces.Box(-1, 1, (3,)), "actions have 3 numbers, the agent gives action_dim=2"),
        (BOX, gym.spaces.Box(-np.inf, np.inf, (2,)), "finite bounds"),
        (BOX, gym.spaces.Box(0.0, 0.0, (2,)), "finite bounds"),
    ],
)
def test_a_space_that_does_not_fit_is_one_line(
    observation: gym.Space[Any], action: gym.Space[Any], message: str
) -> None:
    with pytest.raises(SpaceError, match=message) as error:
        check_spaces(Toy(observation, action), state_dim=2, action_dim=2)
    assert "\n" not in str(error.value)


def test_an_unknown_id_names_the_nearest() -> None:
    with pytest.raises(SpaceError, match=r"did you mean 'InvertedPendulum-v5'\?"):
        EnvironmentSource("InvertedPendulm-v5")
    with pytest.raises(SpaceError, match=r"^env: 'Mine\\n-v0' is no [^\n]*: my_module:Mine -v0$"):
        EnvironmentSource("Mine\n-v0")
    with pytest.raises(SpaceError, match="expected a gymnasium environment"):
        EnvironmentSource(3)  # type: ignore[arg-type]
    with pytest.raises(
        SpaceError, match=r"^env: expected a function that can be called without arguments: missing a req"
    ):
        EnvironmentSource(lambda number: Toy(BOX, BOX))  # type: ignore[arg-type, misc]


def test_an_instance_is_used_and_copied_with_its_wrappers() -> None:
    given = gym.wrappers.RescaleAction(
        gym.make("Pendulum-v1", g=5.0, max_episode_steps=7), np.float32(-0.5), np.float32(0.5)
    )
    source = EnvironmentSource(given)
    first, is_ours = source.first()
    again = source.make()
    assert first is given
    assert not is_ours
    assert again.action_space == given.action_space
    assert again.unwrapped.g == 5.0  # type: ignore[attr-defined]
    assert again.spec is not None
    assert again.spec.max_episode_steps == 7
    assert describe(again) == describe(given)


def test_a_function_and_a_lone_instance() -> None:
    made = EnvironmentSource(lambda: Toy(BOX, BOX))
    assert made.is_repeatable
    assert isinstance(made.first()[0], Toy)
    lone = EnvironmentSource(Toy(BOX, BOX))
    assert not lone.is_repeatable
    with pytest.raises(SpaceError, match=r"gymnasium\.register"):
        lone.make()
    with pytest.raises(SpaceError, match="expected the function to make"):
        EnvironmentSource(lambda: 3).make()  # type: ignore[arg-type, return-value]
    assert describe(Toy(BOX, BOX)) == {"id": "Toy", "kwargs": {}}


def test_environments_for_further_seeds() -> None:
    made = list(EnvironmentSource(lambda: Toy(BOX, BOX)).more(3))
    assert len({id(env) for env in made}) == 3
    lone = EnvironmentSource(Toy(BOX, BOX))
    assert list(lone.more(0)) == []
    with pytest.raises(
        SpaceError, match=r"^env: 3 seeds need 3 environments, but this environment can't be made again"
    ):
        next(lone.more(2))


def test_an_environment_that_can_be_made_only_so_often_is_one_line() -> None:
    class Device(Toy):
        made = 0

        def __init__(self) -> None:
            super().__init__(BOX, BOX)
            Device.made += 1
            if Device.made > 2:
                raise OSError("the port is in use\nby someone else")

    agent = LiquidDDPG(2, 3, 2, device="cpu", seeds=range(4))
    with pytest.raises(SpaceError) as error:
        agent.train(Device, 4, n_episodes=1)
    assert str(error.value) == (
        "env: 4 seeds need 4 environments, and number 3 can't be made (OSError: the port is in use); give each seed an "
        "environment that can be made beside the others, or train one seed"
    )
    assert isinstance(error.value.__cause__, OSError)


@pytest.mark.parametrize(
    ("answer", "reward"), [([np.nan, 0.0], 0.0), ([np.inf, -np.inf], 0.0), ([0.0, 0.0], np.nan), ([0.0, 0.0], -np.inf)]
)
def test_what_is_not_finite_is_named_at_once(answer: list[float], reward: float) -> None:
    envs = Environments([Toy(BOX, BOX, np.array(answer), reward)], obs_dim=2)
    envs.reset(0, seed=1)
    with pytest.raises(NonFiniteError, match="environment 0: step gave"):
        envs.step(0, np.zeros(2, np.float32))


@pytest.mark.parametrize("env_id", ["Pendulum-v1", "InvertedPendulum-v5", "Hopper-v5", "LunarLanderContinuous-v3"])
def test_replay_restores_an_episode_to_the_bit(env_id: str) -> None:
    (obs_dim,) = gym.make(env_id).observation_space.shape or ()
    first, second = (Environments([gym.make(env_id)], obs_dim=obs_dim) for _ in "ab")
    generator = np.random.default_rng(0)
    size = first.envs[0].action_space.shape[0]  # type: ignore[index]
    first.reset(0, seed=5)
    actions = []
    for _ in range(12):
        actions.append(generator.uniform(-0.3, 0.3, size).astype(np.float32))
        if any(first.step(0, actions[-1])[2:4]):
            break
    second.envs[0].reset(seed=99)
    *_, restored = second.replay(0, seed=5, actions=actions)
    assert np.array_equal(restored.obs, first.obs[0])
    action = np.zeros(size, np.float32)
    a, b = first.step(0, action), second.step(0, action)
    assert np.array_equal(a.obs, b.obs)
    assert a[1:] == b[1:]


@pytest.mark.parametrize("at_first", [True, False])
def test_ctrl_c_in_the_import_of_a_simulator_is_no_missing_package(at_first: bool) -> None:
    def make() -> gym.Env[Any, Any]:  # as MuJoCo and Gymnasium do
        try:
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt as stop:
                raise ImportError("initialization failed") from stop
        except ImportError as error:
            raise gym.error.DependencyNotInstalled("MuJoCo is not installed") from error

    source = EnvironmentSource(make)
    with pytest.raises(KeyboardInterrupt):
        source.first() if at_first else next(source.more(1))


def test_a_module_in_the_id_is_imported_as_gymnasium_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "velora_test_pole.py").write_text(
        "import gymnasium\n"
        "from gymnasium.envs.classic_control import PendulumEnv\n"
        "gymnasium.register('VeloraTestPole-v0', entry_point=PendulumEnv, max_episode_steps=5)\n"
    )
    (tmp_path / "velora_test_broken.py").write_text("import a_package_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    agent = LiquidDDPG(3, 3, 1, seed=0, device="cpu")
    try:
        result = agent.train("velora_test_pole:VeloraTestPole-v0", 4, n_episodes=2, progress_bar=False, summary=False)
        assert len(result.returns[0]) == 2
        with pytest.raises(SpaceError, match=r"'VeloraTestPol-v0' is no .*; did you mean 'VeloraTestPole-v0'\?"):
            EnvironmentSource("velora_test_pole:VeloraTestPol-v0")
    finally:
        gym.registry.pop("VeloraTestPole-v0", None)
        sys.modules.pop("velora_test_pole", None)
    with pytest.raises(SpaceError, match="needs a module 'velora_test_missing', which Python can't find"):
        EnvironmentSource("velora_test_missing:Any-v0")
    with pytest.raises(ModuleNotFoundError, match="a_package_nobody_has"):
        EnvironmentSource("velora_test_broken:Any-v0")
