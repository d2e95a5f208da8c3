"""Agents that see images: trained, saved, gone on with, alone and among others, and what is refused."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from tests.shared import QUIET
from velora.buffers import ReplayBuffer
from velora.callbacks import Callback
from velora.checkpoint import Checkpoint
from velora.core import ram
from velora.core.errors import SettingError, ShapeError, SpaceError
from velora.envs import check_image, dimensions, flattened, image_settings
from velora.envs.wrappers import Flicker, NoisyObservation, PreviousActionReward
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidSAC, LiquidTD3
from velora.testing import AgentContract

SHAPE = (8, 9, 1)
SMALL: dict[str, Any] = {"image": SHAPE, "warmup_steps": 8, "buffer_size": 100, "device": "cpu"}
ROLLOUT: dict[str, Any] = {"image": SHAPE, "device": "cpu", "rollout_steps": 12, "sequence_length": 4, "n_epochs": 1}
DOT, CHOSEN_DOT = "velora_tests/Dot-v0", "velora_tests/ChosenDot-v0"


class Dot(gym.Env[Any, Any]):
    """Move a bright dot to a dim one; both are seen on an image of any shape and range, and nothing else is."""

    def __init__(
        self, shape: tuple[int, ...] = SHAPE, low: float = 0, high: float = 255, dtype: Any = np.uint8
    ) -> None:
        self.observation_space = spaces.Box(low, high, shape, dtype)
        self.action_space = spaces.Box(-1.0, 1.0, (2,))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.dot, self.goal = self.np_random.uniform(-1.0, 1.0, (2, 2))
        self.left = 20
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.dot = np.clip(self.dot + 0.2 * np.asarray(action), -1.0, 1.0)
        self.left -= 1
        return self._seen(), -float(np.abs(self.dot - self.goal).mean()), False, self.left == 0, {}

    def _seen(self) -> Any:
        space = self.observation_space
        assert isinstance(space, spaces.Box)
        seen = space.low.copy()
        for place, brightness in ((self.goal, 0.5), (self.dot, 1.0)):
            row, column = ((place + 1.0) * 3.5).astype(int)
            seen[row, column] = (space.low + brightness * (space.high - space.low))[row, column].astype(space.dtype)
        return seen


class ChosenDot(Dot):
    """Move it along one of the axes."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = spaces.Discrete(4)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return super().step(((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0))[action])


gym.register(DOT, lambda **kwargs: Dot(**kwargs))
gym.register(CHOSEN_DOT, lambda **kwargs: ChosenDot(**kwargs))


class _Images(AgentContract):
    env, other_env, batch_size, n_steps = DOT, "InvertedPendulum-v5", 4, 14


class TestLiquidDDPG(_Images):
    def make(self, **own: Any) -> Agent:
        return LiquidDDPG(72, 6, 2, **{**SMALL, **own})


class TestLiquidPPO(_Images):
    def make(self, **own: Any) -> Agent:
        return LiquidPPO(72, 6, 2, **{**ROLLOUT, "critic": "recurrent", "critic_units": (8, 8), **own})


class RecurrentLiquidTD3(_Images):
    def make(self, **own: Any) -> Agent:
        recurrent = {"critic": "recurrent", "critic_units": (8, 8), "sequence_length": 3, "burn_in": 2}
        return LiquidTD3(72, 6, 2, **{**SMALL, **recurrent, **own})


class LiquidSACWithLiquidCritics(_Images):
    def make(self, **own: Any) -> Agent:
        return LiquidSAC(72, 6, 2, **{**SMALL, "critic": "liquid", "normalize_returns": True, **own})


class DiscreteLiquidSAC(_Images):
    env = CHOSEN_DOT

    def make(self, **own: Any) -> Agent:
        return LiquidSAC(72, 6, 4, **{**SMALL, "discrete": True, **own})


class LiquidPPOInSeveralEnvironments(_Images):
    def make(self, **own: Any) -> Agent:
        more = {"n_envs": 2, "rollout_steps": 4, "normalize_returns": True}
        return LiquidPPO(72, 6, 2, **{**ROLLOUT, **more, **own})


@pytest.mark.parametrize(
    "kind", [RecurrentLiquidTD3, LiquidSACWithLiquidCritics, DiscreteLiquidSAC, LiquidPPOInSeveralEnvironments]
)
@pytest.mark.some(2)
def test_other_agents_learn_and_go_on(kind: type[_Images], tmp_path: Path) -> None:
    contract = kind()
    contract.test_one_seed_learns()
    contract.test_a_run_in_two_halves_is_the_run_in_one(tmp_path)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        (Dot(), {"image": SHAPE, "image_range": None}),
        (Dot((8, 9)), {"image": (8, 9), "image_range": None}),
        (Dot((9, 9, 1), -1.0, 2.0, np.float32), {"image": (9, 9, 1), "image_range": (-1.0, 2.0)}),
        (gym.wrappers.FrameStackObservation(Dot(), 3), {"image": (3, *SHAPE), "image_range": None}),
        (Flicker(flattened(Dot())), {"image": SHAPE, "image_range": None}),
        (PreviousActionReward(flattened(Dot())), {}),
        (NoisyObservation(flattened(Dot()), 1.0), {}),
        (Dot((8, 7, 1)), {}),
        (Dot((9, 9), -np.inf, np.inf, np.float32), {}),
        (gym.make("Pendulum-v1"), {}),
        (gym.make("FrozenLake-v1"), {}),
    ],
)
def test_an_environment_says_which_images_it_shows(env: gym.Env[Any, Any], expected: dict[str, Any]) -> None:
    assert image_settings(env) == expected
    assert image_settings(flattened(env)) == expected


@pytest.mark.parametrize(
    ("env", "settings", "message"),
    [
        (Dot((9, 8, 1)), {}, r"^Dot: observations are images of \(9, 8, 1\), the agent expects image=\(8, 9, 1\)"),
        (Dot(low=0.0, high=1.0, dtype=np.float32), {}, r"got float32; make the agent with image_range=\(0\.0, 1\.0\)"),
        (Dot(low=0.0, high=2.0, dtype=np.float32), {"image_range": (0, 1)}, r"pixels lie in \(0\.0, 2\.0\)"),
        (NoisyObservation(flattened(Dot()), 1.0), {}, "expected images with finite bounds"),
    ],
)
def test_other_images_are_one_line(env: gym.Env[Any, Any], settings: dict[str, Any], message: str) -> None:
    agent = LiquidDDPG(72, 6, 2, **{**SMALL, **settings})
    with pytest.raises(SpaceError, match=message) as error:
        agent.train(env, 8, n_steps=5, **QUIET)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image": (8, 9, 2)}, r"^image: \(8, 9, 2\) holds 144 numbers, expected state_dim=72"),
        ({"image": (72,)}, r"^image: expected \(height, width\)"),
        ({"image": (8, -9, -1)}, r"^image: expected \(height, width\)"),
        ({"image_range": (1, 0)}, r"^image_range: expected the least value and a larger one"),
        ({"image": None, "image_range": (0, 1)}, r"^image_range: \(0\.0, 1\.0\) has no effect with image=None"),
        ({"time": "both"}, r"^time: an image has no place for the time"),
        ({"normalize_obs": True}, r"^normalize_obs: an image is scaled by its range already; expected false, got true"),
        ({"kernel": "native"}, r"^kernel: 'native' has no convolutions"),
        ({"kernel": "numpy"}, r"^kernel: 'numpy' has no convolutions"),
    ],
)
def test_settings_that_do_not_fit_are_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message) as error:
        LiquidDDPG(72, 6, 2, **{**SMALL, **settings})
    assert "\n" not in str(error.value)
    assert LiquidDDPG(72, 6, 2, **SMALL).kernel == "torch"


def test_images_are_kept_as_bytes_and_come_back_as_they_were(tmp_path: Path) -> None:
    agent = LiquidDDPG(72, 6, 2, **SMALL, seed=0)
    assert agent.buffer.row_width == 2 * 18 + 2 + 6 + agent.state_size
    stored: list[np.ndarray[Any, Any]] = []
    bright = np.full(72, 255, np.uint8)  # read as float32 it is NaN
    generator = np.random.default_rng(0)
    for i in range(130):
        stored.append(bright if i % 3 == 0 else generator.integers(0, 256, 72).astype(np.uint8))
        agent.buffer.add(
            0, obs=stored[-1], action=[0.5, -0.5], reward=i, next_obs=255 - stored[-1], terminated=False,
            truncated=False, dt=1.0, next_dt=1.0, start=False, hidden=np.zeros(agent.state_size),
        )  # fmt: skip
    check(agent.experience.buffer, stored)
    agent.save(tmp_path / "agent", buffer=True)
    Checkpoint.open(tmp_path / "agent").verify()
    check(LiquidDDPG.load(tmp_path / "agent", buffer=True).experience.buffer, stored)
    smaller = LiquidDDPG(72, 6, 2, **{**SMALL, "buffer_size": 50}, seed=0)
    smaller.restore(Checkpoint.open(tmp_path / "agent"), buffer=True)
    check(smaller.experience.buffer, stored)


def check(buffer: ReplayBuffer, stored: list[np.ndarray[Any, Any]]) -> None:
    batch = buffer.sample(np.linspace(0.0, 0.999, 40)[None], 2, torch.device("cpu"))
    assert batch.obs.dtype == torch.uint8
    assert batch.obs.shape == (1, 40, 2, 72)
    for obs, following, number in zip(
        batch.obs[0].flatten(0, 1), batch.next_obs[0].flatten(0, 1), batch.reward.flatten(), strict=True
    ):
        assert np.array_equal(obs.numpy(), stored[int(number)])
        assert np.array_equal(following.numpy(), 255 - stored[int(number)])


def test_numbers_of_any_range_are_kept_as_they_are() -> None:
    env = Dot(low=-1.0, high=1.0, dtype=np.float32)
    agent = LiquidDDPG(72, 6, 2, **SMALL, image_range=(-1, 1), seed=0)
    agent.train(env, 8, n_steps=12, **QUIET)
    assert agent.progress[0].update > 0
    assert agent.buffer.row_width == 2 * 72 + 2 + 6 + agent.state_size


def test_what_was_seen_in_training_is_in_the_buffer() -> None:
    agent, env = LiquidDDPG(72, 6, 2, **SMALL, seed=0), Dot()
    agent.train(env, 8, n_steps=10, **QUIET)
    batch = agent.experience.buffer.sample(np.array([[0.95]]), 1, torch.device("cpu"))
    assert np.array_equal(batch.next_obs[0, 0, 0].numpy(), env._seen().ravel())
    assert batch.next_obs.max() == 255


class Recorder(gym.Wrapper[Any, Any, Any, Any]):
    """Keep what was shown and earned."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.shown: list[Any] = []
        self.earned: list[float] = []

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        obs, info = super().reset(**options)
        self.shown.append(obs.ravel())
        return obs, info

    def step(self, action: Any) -> Any:
        answer = super().step(action)
        self.shown.append(answer[0].ravel())
        self.earned.append(float(answer[1]))
        return answer


def test_each_of_several_environments_keeps_its_own_images() -> None:
    made: list[Recorder] = []

    def make() -> Recorder:
        made.append(Recorder(Dot()))
        return made[-1]

    agent = LiquidPPO(72, 6, 2, **ROLLOUT, n_envs=2, seeds=(1, 2))
    agent.train(make, 8, n_steps=24, **QUIET)
    rollout = agent.experience.buffer.read(torch.device("cpu"))
    assert rollout.obs.dtype == torch.uint8
    for k, e in itertools.product(range(2), range(2)):
        is_first = k == e == 0  # which is reset once more, to see whether its seed decides it
        shown = np.stack(made[2 * k + e].shown[is_first:])
        assert np.array_equal(rollout.obs[k, e].numpy(), shown[:12])
        assert np.array_equal(rollout.next_obs[k, e].numpy(), shown[1:])


class Kept(Callback):
    """Keep what was learned from, before new steps are written over it."""

    def on_train_batch_start(self, trainer: Any, agent: Any, batch: Any, batch_idx: int) -> None:
        self.obs, self.reward = batch.obs.clone(), batch.reward.clone()


@pytest.mark.parametrize("kind", [LiquidDDPG, LiquidPPO])
def test_rewards_are_normalised_and_images_are_not(kind: Callable[..., Agent]) -> None:
    own = ROLLOUT if kind is LiquidPPO else SMALL
    agent, env, kept = kind(72, 6, 2, **own, normalize_returns=True, gamma=0.9, seed=0), Recorder(Dot()), Kept()
    agent.train(env, 8, n_steps=13, callbacks=[kept], **QUIET)
    rewards = np.array(env.earned[:12])  # what an update beside the thirteenth step knows
    sums = list(itertools.accumulate(rewards, lambda total, reward: 0.9 * total + reward))
    normalised = rewards / np.std(sums)
    assert kept.obs.dtype == torch.uint8
    for obs, reward in zip(kept.obs.view(-1, 72).numpy(), kept.reward.flatten().tolist(), strict=True):
        known = [n for seen, n in zip(env.shown[1:13], normalised, strict=True) if np.array_equal(seen, obs)]
        assert any(reward == pytest.approx(n, rel=1e-5) for n in known)


def test_predict_takes_the_vector_and_the_image() -> None:
    agent = LiquidDDPG(72, 6, 2, **SMALL, seed=0)
    image = Dot().reset(seed=1)[0]
    action, hidden = agent.predict(image)
    for same in (image.ravel(), image.astype(np.float32), image.tolist()):
        assert np.array_equal(agent.predict(same)[0], action)
    assert torch.equal(agent.predict(torch.from_numpy(image))[0], torch.from_numpy(action))
    actions, hiddens = agent.predict(np.stack([image] * 3), np.stack([hidden * 0] * 3))
    assert actions.shape == (3, 2)
    assert np.allclose(actions, action, atol=1e-6)
    assert np.allclose(hiddens, hidden, atol=1e-6)
    with pytest.raises(ShapeError, match=r"expected a state of \(72,\)"):
        agent.predict(image[:4])


def test_too_many_images_for_the_memory_are_refused_before_any_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ram, "available_bytes", lambda: 10_000_000)
    agent = LiquidDDPG(72, 6, 2, **{**SMALL, "buffer_size": 100_000}, seed=0)
    with pytest.raises(SettingError, match=r"^buffer_size: 100,000 transitions of \d+ numbers each need .*; lower buf"):
        agent.train(DOT, 8, n_steps=10, **QUIET)


def test_an_agent_fits_what_dimensions_and_image_settings_say() -> None:
    env = gym.wrappers.FrameStackObservation(Dot(), 2)
    state_dim, action_dim = dimensions(env)
    agent = LiquidDDPG(state_dim, 6, action_dim, **{**SMALL, **image_settings(env)}, seed=0)
    result = agent.train(env, 8, n_steps=22, evaluate_every=1, evaluation_episodes=2, **QUIET)
    assert (agent.settings.image, state_dim, action_dim) == ((2, *SHAPE), 2 * math.prod(SHAPE), 2)
    assert all(len(evaluation.returns) == 2 for evaluation in result.evaluations)
    assert len(result.evaluations) == len(result.returns[0]) > 0
    assert agent.settings.image is not None
    check_image(flattened(env), agent.settings.image, None)
    with pytest.raises(SpaceError):
        check_image(flattened(Dot()), agent.settings.image, None)
