"""A resume in an environment that its reset seed doesn't decide says so, and goes on from a fresh episode."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest

from tests.shared import QUIET
from velora.callbacks import Callback, SaveCheckpoints
from velora.checkpoint import Checkpoint
from velora.core.seeding import episode_seed
from velora.core.types import Episode
from velora.metrics import queries
from velora.models import LiquidDDPG, LiquidPPO
from velora.models.agent import Agent
from velora.training import TrainResult
from velora.training.place import Place

STEPS = 12
"""Of an episode that nothing ends before."""


class Unsound(gym.Wrapper[Any, Any, Any, Any]):
    """Base of wrappers that spoil an environment."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.own, self.episodes, self.steps, self.parameter = np.random.default_rng(), 0, 0, 0.0

    def reset(self, **settings: Any) -> Any:
        self.episodes += 1
        return super().reset(**settings)

    def step(self, action: Any) -> Any:
        self.steps += 1
        return super().step(action)


class NoisyResets(Unsound):
    def reset(self, **settings: Any) -> Any:
        obs, info = super().reset(**settings)
        return obs + np.float32(0.01) * self.own.standard_normal(obs.shape).astype(np.float32), info


class NoisySteps(Unsound):
    def step(self, action: Any) -> Any:
        obs, *rest = super().step(action)
        return obs + np.float32(0.01) * self.own.standard_normal(obs.shape).astype(np.float32), *rest


class NoisyRewards(Unsound):
    def step(self, action: Any) -> Any:
        obs, reward, *rest = super().step(action)
        return obs, float(reward) + self.own.normal() * 1e-6, *rest


class NoisyTime(Unsound):
    def step(self, action: Any) -> Any:
        *rest, info = super().step(action)
        return *rest, {**info, "dt": 1.0 + self.own.random()}


class Randomised(Unsound):
    """Domain randomisation: what an episode's reset draws shows in its steps alone."""

    def reset(self, **settings: Any) -> Any:
        self.parameter = self.own.uniform(0.5, 1.5)
        return super().reset(**settings)

    def step(self, action: Any) -> Any:
        obs, *rest = super().step(action)
        return obs * np.float32(self.parameter), *rest


class Curriculum(Unsound):
    """Episodes differ by how many the object has had."""

    def step(self, action: Any) -> Any:
        obs, *rest = super().step(action)
        return obs * np.float32(1.0 + 0.01 * self.episodes), *rest


class WearsOut(Unsound):
    """Episodes differ by how many steps the object has made."""

    def reset(self, **settings: Any) -> Any:
        obs, info = super().reset(**settings)
        return obs * np.float32(1.0 + 0.01 * self.steps), info


class ReadsTheClock(Unsound):
    def step(self, action: Any) -> Any:
        obs, *rest = super().step(action)
        return obs + np.float32(time.perf_counter() % 1.0), *rest


class DrawsFromNumPy(Unsound):
    def step(self, action: Any) -> Any:
        obs, *rest = super().step(action)
        return obs + np.float32(np.random.normal()), *rest  # noqa: NPY002 - as users' environments do


class DrawsFromPython(Unsound):
    def step(self, action: Any) -> Any:
        obs, *rest = super().step(action)
        return obs + np.float32(random.random()), *rest


class ForgetsItsSeed(Unsound):
    def reset(self, *, seed: int | None = None, **settings: Any) -> Any:
        return super().reset(**settings)


class GoesOn(Unsound):
    """Something of the episode before is left."""

    def reset(self, **settings: Any) -> Any:
        obs, info = super().reset(**settings)
        return obs + np.float32(self.parameter), info

    def step(self, action: Any) -> Any:
        obs, *rest = super().step(action)
        self.parameter = 0.5 * self.parameter + float(obs[0])
        return obs, *rest


SPOILS: list[Callable[[gym.Env[Any, Any]], gym.Env[Any, Any]]] = [
    NoisyResets, NoisySteps, NoisyRewards, NoisyTime, Randomised, Curriculum, WearsOut, ReadsTheClock,
    DrawsFromNumPy, DrawsFromPython, ForgetsItsSeed, GoesOn,
]  # fmt: skip
TASKS = {"Pendulum-v1": (3, 1), "InvertedPendulum-v5": (4, 1), "CartPole-v1": (4, 2), "Acrobot-v1": (6, 3)}


def spoilt(task: str, spoil: Callable[[gym.Env[Any, Any]], gym.Env[Any, Any]]) -> Callable[[], gym.Env[Any, Any]]:
    return lambda: spoil(gym.make(task, max_episode_steps=STEPS))


def agent_for(task: str, n_envs: int, seed: int) -> Agent:
    state_dim, action_dim = TASKS[task]
    own: dict[str, Any] = {"device": "cpu", "seed": seed}
    if n_envs or task in ("CartPole-v1", "Acrobot-v1"):
        own |= {"discrete": task in ("CartPole-v1", "Acrobot-v1"), "n_envs": n_envs or 1, "critic_units": (8, 8)}
        return LiquidPPO(state_dim, 6, action_dim, rollout_steps=10, sequence_length=5, n_epochs=1, **own)
    return LiquidDDPG(state_dim, 6, action_dim, warmup_steps=15, buffer_size=100, sequence_length=3, **own)


class Stop(Callback):
    def __init__(self, step: int) -> None:
        self.at = step

    def on_env_step(self, trainer: Any, agent: Any, transition: Any) -> None:
        if trainer.step >= self.at:
            trainer.stop("enough")


class Begun(Callback):
    def __init__(self) -> None:
        self.seeds: list[int] = []

    def on_episode_start(self, trainer: Any, agent: Any, episode: Episode) -> None:
        self.seeds.append(episode.reset_seed)


def train(agent: Agent, env: Any, home: Path, *callbacks: Callback, **more: Any) -> TrainResult:
    saving = SaveCheckpoints(home / "checkpoints", frequency=None)
    return agent.train(env, 5, callbacks=[saving, *callbacks], run_dir=home, **QUIET, **more)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [message for message in caplog.messages if message.startswith("resume: seed")]


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: spoil.__name__)
@pytest.mark.parametrize("between", [False, True], ids=["within", "between"])
@pytest.mark.parametrize(
    ("task", "n_envs", "seed"),
    [
        ("Pendulum-v1", 0, 1), ("CartPole-v1", 1, 1), ("CartPole-v1", 2, 2), ("InvertedPendulum-v5", 0, 2),
        pytest.param("Acrobot-v1", 1, 3, marks=pytest.mark.slow),
        pytest.param("InvertedPendulum-v5", 2, 4, marks=pytest.mark.slow),
        pytest.param("Pendulum-v1", 2, 5, marks=pytest.mark.slow),
    ],
)  # fmt: skip
@pytest.mark.some(24)
def test_what_cannot_be_lived_again_is_said_before_the_first_step(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Any, between: bool, task: str, n_envs: int, seed: int
) -> None:
    env, cut = spoilt(task, spoil), {"n_episodes": 2 * max(1, n_envs)} if between else {"n_steps": 10**6}
    train(agent_for(task, n_envs, seed), env, tmp_path, *([] if between else [Stop(16 * max(1, n_envs))]), **cut)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        result = train(agent_for(task, n_envs, seed), env, tmp_path, n_episodes=6, resume=tmp_path / "checkpoints")
    assert said(caplog), "silent"
    assert all("isn't the same when it is lived again" in m and "\n" not in m for m in said(caplog))
    assert result.status == "finished"
    assert [row.episode for row in queries.episodes(tmp_path)] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(("task", "n_envs"), [("Pendulum-v1", 0), ("CartPole-v1", 1), ("CartPole-v1", 2)])
def test_nothing_is_said_of_an_environment_that_its_seed_decides(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, task: str, n_envs: int
) -> None:
    with caplog.at_level(logging.WARNING):
        for k, n_steps in enumerate((5, 12, 24, 31, 48)):
            resume = tmp_path / "checkpoints" if k else None
            agent = agent_for(task, n_envs, 1)
            train(agent, spoilt(task, Unsound), tmp_path, n_steps=n_steps * max(1, n_envs), resume=resume)
    assert not [m for m in caplog.messages if "lived again" in m or "two resets" in m]


def test_the_run_goes_on_from_a_fresh_episode_with_a_seed_of_its_own(tmp_path: Path) -> None:
    env, begun = spoilt("Pendulum-v1", NoisySteps), Begun()
    train(agent_for("Pendulum-v1", 0, 1), env, tmp_path, n_steps=17)  # five steps into the second episode
    agent = agent_for("Pendulum-v1", 0, 1)
    result = train(agent, env, tmp_path, begun, n_episodes=3, resume=tmp_path / "checkpoints")
    assert begun.seeds == [episode_seed(1, 0, 3), episode_seed(1, 0, 4)]
    assert (agent.progress[0].episode, agent.progress[0].step, agent.progress[0].begun) == (3, 41, 4)
    assert len(result.returns[0]) == 2
    assert [row.length for row in queries.episodes(tmp_path)] == [12, 12, 12]
    batch = agent.experience.buffer
    rows = batch.state_dict(0)["rows"][0]
    column = {name: rows[:, where] for name, where in batch._columns.items()}
    assert column["start"][:, 0].nonzero().flatten().tolist() == [0, 12, 17, 29]
    assert column["truncated"][:, 0].nonzero().flatten().tolist() == [11, 28, 40]
    assert not column["hidden"][17].any()
    assert not column["next_obs"][16].equal(column["obs"][17])


def test_a_rollout_goes_on_with_an_episode_that_was_left_in_it(tmp_path: Path) -> None:
    """Only the environment whose episode isn't the same begins anew; advantages stop where it was left."""
    kinds = cycle((Unsound, NoisySteps))

    def half_spoilt() -> gym.Env[Any, Any]:
        return next(kinds)(gym.make("CartPole-v1", max_episode_steps=STEPS))

    train(agent_for("CartPole-v1", 2, 1), half_spoilt, tmp_path, n_steps=8)
    saved = Checkpoint.open(tmp_path / "checkpoints" / "final").metadata
    assert saved.buffer is not None
    assert (saved.progress.update, saved.buffer["size"]) == (0, 8)
    begun, agent = Begun(), agent_for("CartPole-v1", 2, 1)
    train(agent, half_spoilt, tmp_path, begun, n_steps=14, resume=tmp_path / "checkpoints")
    assert begun.seeds == [episode_seed(1, 0, 3)]
    rollout = agent.experience.buffer.read(agent.device)  # type: ignore[attr-defined]
    assert rollout.start[0, :, :7].int().tolist() == [[1, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 1, 0, 0]]
    train(agent_for("CartPole-v1", 2, 1), half_spoilt, tmp_path, n_steps=60, resume=tmp_path / "checkpoints")


class FailAt(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_env_step(self, trainer: Any, agent: Any, transition: Any) -> None:
        if trainer.step == self.step:
            raise OSError("the disk is full")


def test_an_episode_that_was_over_keeps_its_row(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The run crashed between the last step and the end, so nothing of the episode needs to be lived again."""
    env = spoilt("Pendulum-v1", NoisySteps)
    with pytest.raises(OSError, match="the disk is full"):
        train(agent_for("Pendulum-v1", 0, 1), env, tmp_path, FailAt(STEPS), n_episodes=2)
    with caplog.at_level(logging.WARNING):
        train(agent_for("Pendulum-v1", 0, 1), env, tmp_path, n_episodes=2, resume=tmp_path / "checkpoints")
    replay, end = said(caplog)
    assert "isn't the same when it is lived again" in replay
    assert "an error in on_env_step ended the run" in end
    assert [(row.episode, row.step, row.length) for row in queries.episodes(tmp_path)] == [(1, 12, 12), (2, 24, 12)]


class Breaks(gym.Wrapper[Any, Any, Any, Any]):
    """Fail at one step in all of the process, or end there."""

    left: ClassVar[int] = 10**9
    fails: ClassVar[bool] = True

    def step(self, action: Any) -> Any:
        Breaks.left -= 1
        if Breaks.left == 0 and self.fails:
            raise RuntimeError("the simulator is gone\nand more")
        *rest, truncated, info = super().step(action)
        return *rest, truncated or Breaks.left == 0, info


@pytest.mark.parametrize(
    ("fails", "how"),
    [
        (True, "step 3 of 5 raised RuntimeError: the simulator is gone; "),
        (False, "step 3 of 5 was answered differently, with the episode's end; "),
    ],
)
def test_an_environment_that_fails_or_ends_earlier_in_the_replay_is_gone_on_from(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, fails: bool, how: str
) -> None:
    env = spoilt("Pendulum-v1", Breaks)
    train(agent_for("Pendulum-v1", 0, 1), env, tmp_path, n_steps=17)
    Breaks.left, Breaks.fails = 3, fails
    with caplog.at_level(logging.WARNING):
        result = train(
            agent_for("Pendulum-v1", 0, 1), env, tmp_path, n_steps=20, resume=tmp_path / "checkpoints" / "final"
        )
    assert result.status == "finished"
    assert len(said(caplog)) == 1
    assert how in said(caplog)[0]


def noisy_and_normalised(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    return gym.wrappers.NormalizeObservation(NoisyResets(env))


@pytest.mark.parametrize(
    ("spoil", "n"), [(NoisyResets, 1), (Unsound, 0), (gym.wrappers.NormalizeObservation, 0), (noisy_and_normalised, 1)]
)
def test_two_resets_that_differ_are_said_once_when_training_begins(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Any, n: int
) -> None:
    agent = LiquidPPO(4, 6, 2, discrete=True, n_envs=2, seeds=(1, 2), rollout_steps=8, sequence_length=4, device="cpu")
    with caplog.at_level(logging.WARNING):
        train(agent, spoilt("CartPole-v1", spoil), tmp_path, n_steps=80)
    assert sum("two resets with the same seed" in message for message in caplog.messages) == n


def test_the_first_environment_alone_is_reset_once_more(tmp_path: Path) -> None:
    made: list[Unsound] = []

    def make() -> gym.Env[Any, Any]:
        made.append(Unsound(gym.make("Pendulum-v1", max_episode_steps=STEPS)))
        return made[-1]

    train(agent_for("Pendulum-v1", 2, 1), make, tmp_path, n_steps=2 * STEPS * 3)
    assert [env.episodes for env in made] == [4, 3]


@pytest.mark.parametrize("n_steps", [17, 24])
def test_a_run_without_digests_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, n_steps: int
) -> None:
    """So runs were saved at first, and nothing of an episode that had ended."""

    def first(place: Place) -> dict[str, Any]:
        running, actions = place.running, place.log.state_dict()["actions"]
        begun = None if running is None else [running.number, running.reset_seed, running.reward]
        return {"running": begun, "actions": None if running is None else actions, "dt": place.newest.dt}

    def run(name: str, n_steps: int, **resume: Path) -> dict[str, str]:
        env = spoilt("Pendulum-v1", Unsound)
        train(agent_for("Pendulum-v1", 0, 1), env, tmp_path / name, n_steps=n_steps, **resume)
        files = Checkpoint.open(tmp_path / name / "checkpoints" / "final").metadata.files
        return {file: info.sha256 for file, info in files.items()}

    with monkeypatch.context() as patched:
        patched.setattr(Place, "state_dict", first)
        run("cut", n_steps)
    assert run("cut", 41, resume=tmp_path / "cut" / "checkpoints") == run("whole", 41)
    assert not [message for message in caplog.messages if "lived again" in message]
