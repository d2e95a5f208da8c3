"""Observations of any space that is made of numbers: flattened, trained on, saved, gone on with and evaluated."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from tests.shared import QUIET, digests
from velora.callbacks import SaveCheckpoints
from velora.core import seeding
from velora.core.errors import SpaceError
from velora.envs import EnvironmentSource, dimensions, flattened
from velora.envs.wrappers import DropObservation, Flicker, wrap
from velora.models import LiquidDDPG, LiquidPPO

GOAL = spaces.Dict(
    {"place": spaces.Box(-1.0, 1.0, (2, 2)), "light": spaces.Discrete(3, start=1), "doors": spaces.MultiBinary(2)}
)


class Room(gym.Env[Any, Any]):
    """Six steps in any observation space, whose samples the reset seed decides."""

    def __init__(self, seen: spaces.Space[Any] = GOAL) -> None:
        self.observation_space, self.action_space = copy.deepcopy(seen), spaces.Box(-1.0, 1.0, (1,))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.left = 6
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.left -= 1
        return self.observation_space.sample(), float(action[0]), False, self.left == 0, {}


gym.register("velora_tests/Room-v0", lambda **kwargs: Room(**kwargs))


@pytest.mark.parametrize(
    ("space", "size"),
    [
        (spaces.Box(-1, 1, (4,)), 4),
        (spaces.Box(-1, 1, ()), 1),
        (spaces.Box(0, 255, (2, 3, 3), np.uint8), 18),
        (spaces.Discrete(5), 5),
        (spaces.MultiDiscrete([2, 3]), 5),
        (spaces.MultiBinary([2, 2]), 4),
        (spaces.Tuple((spaces.Discrete(2), spaces.Dict({"a": spaces.Box(0, 1, (3,))}))), 5),
        (GOAL, 9),
    ],
)
def test_every_space_of_numbers_becomes_a_vector(space: spaces.Space[Any], size: int) -> None:
    env = Room(space)
    assert dimensions(env) == (size, 1)
    flat = flattened(env)
    obs, _ = flat.reset(seed=0)
    assert obs.shape == flat.observation_space.shape == (size,)
    assert flattened(flat) is flat
    assert dimensions(flat) == (size, 1)


def test_a_discrete_observation_is_one_hot() -> None:
    env = flattened(Room(spaces.Discrete(3, start=1)))
    first, _ = env.reset(seed=4)
    seen = [first.tolist()] + [env.step(np.zeros(1))[0].tolist() for _ in range(5)]
    assert {tuple(obs) for obs in seen} <= {(1, 0, 0), (0, 1, 0), (0, 0, 1)}
    assert len(set(map(tuple, seen))) > 1


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.Text(4), r"^Room: expected observations of Box.*got Text"),
        (spaces.Graph(spaces.Box(0, 1, (2,)), None), "got Graph"),
        (spaces.Dict({"a": spaces.Discrete(2), "b": spaces.Sequence(spaces.Discrete(2))}), "got Sequence"),
        (spaces.Box(0, 1, (0,)), "expected at least one number"),
        (spaces.Box(0, 1, (3, 0)), "expected at least one number"),
        (spaces.Dict({}), "expected at least one number"),
    ],
)
def test_what_is_no_number_is_one_line(space: spaces.Space[Any], message: str) -> None:
    for refuse in (dimensions, flattened, lambda env: EnvironmentSource(env).first()):
        with pytest.raises(SpaceError, match=message) as error:
            refuse(Room(space))
        assert "\n" not in str(error.value)


def test_a_size_that_differs_is_one_line() -> None:
    with pytest.raises(SpaceError, match="Room-v0: observations have 9 numbers, the agent expects state_dim=4"):
        LiquidDDPG(4, 6, 1, device="cpu", seed=0).train("velora_tests/Room-v0", 8, n_steps=5, **QUIET)


def test_training_sees_the_flat_numbers() -> None:
    agent, env = LiquidDDPG(9, 6, 1, device="cpu", seed=0, warmup_steps=6), Room()
    agent.train(env, 8, n_steps=6, **QUIET)
    again = flattened(Room())
    expected = [again.reset(seed=seeding.episode_seed(0, 0, 1))[0]] + [again.step(np.zeros(1))[0] for _ in range(6)]
    rows = agent.buffer.state_dict(0)["rows"][0].numpy()
    np.testing.assert_array_equal(rows[:, :9], np.array(expected[:6], np.float32))


@pytest.mark.parametrize("given", ["velora_tests/Room-v0", Room, lambda: flattened(Room()), "an instance"])
def test_a_run_in_two_halves_is_the_run_in_one(given: Any, tmp_path: Path) -> None:
    def train(n_steps: int, folder: str, **more: Any) -> LiquidDDPG:
        env = gym.make("velora_tests/Room-v0") if given == "an instance" else given
        agent = LiquidDDPG(9, 6, 1, device="cpu", seeds=[1, 2], warmup_steps=10)
        saver = SaveCheckpoints(tmp_path / folder)
        agent.train(env, 8, n_steps=n_steps, callbacks=[saver], evaluate_every=3, **more, **QUIET)
        return agent

    whole = train(40, "whole")
    train(20, "half")
    rest = train(40, "half", resume=tmp_path / "half")
    assert digests(tmp_path / "half" / "seed2" / "final") == digests(tmp_path / "whole" / "seed2" / "final")
    assert rest.environment == whole.environment
    name = "velora_tests/Room-v0" if isinstance(given, str) else "Room"  # a function's environment has no id
    limit = {"max_episode_steps": None} if isinstance(given, str) else {}
    assert whole.environment == {"id": name, "kwargs": {}, **limit}


def test_wrappers_work_on_top() -> None:
    with pytest.raises(SpaceError, match=r"^DropObservation: expected a flat box.*velora\.envs\.flattened") as error:
        DropObservation(Room(), [0])
    assert "\n" not in str(error.value)
    env = wrap(flattened(Room()), [{"name": "DropObservation", "kwargs": {"drop": [0, 1]}}, {"name": "Flicker"}])
    assert dimensions(env) == (7, 1)
    assert isinstance(env, Flicker)
    LiquidDDPG(7, 6, 1, device="cpu", seed=0, warmup_steps=5).train(env, 4, n_steps=20, **QUIET)


def test_tabular_tasks_are_trained_on() -> None:
    for name in ("FrozenLake-v1", "Blackjack-v1"):
        state_dim, n_actions = dimensions(gym.make(name))
        agent = LiquidPPO(state_dim, 6, n_actions, discrete=True, device="cpu", seed=0, rollout_steps=16)
        agent.train(name, 8, n_steps=40, evaluate_every=2, evaluation_episodes=2, **QUIET)
        assert agent.progress[0].update == 2
