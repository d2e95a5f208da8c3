"""Environments, loggers, handlers and callbacks that misbehave, and runs that go on after them."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers.logger import DummyLogger

from tests.shared import QUIET, digests
from velora.callbacks import Callback, EarlyStopping, SaveCheckpoints
from velora.checkpoint import Checkpoint
from velora.core.errors import NonFiniteError, SettingError, SpaceError
from velora.models import LiquidDDPG
from velora.training import TrainResult
from velora.utils import set_seed


def pendulum(wrapper: Any = None, *, steps: int = 6, **options: Any) -> gym.Env[Any, Any]:
    env = gym.make("Pendulum-v1", max_episode_steps=steps)
    return env if wrapper is None else wrapper(env, **options)


def train(env: Any, directory: Path | None = None, *callbacks: Any, **settings: Any) -> TrainResult:
    set_seed(5)
    agent = LiquidDDPG(3, 6, 1, device="cpu", warmup_steps=5, buffer_size=80)
    saving = [] if directory is None else [SaveCheckpoints(directory, frequency=2)]
    defaults: dict[str, Any] = {"n_episodes": 6, **QUIET}
    return agent.train(env, 4, callbacks=[*saving, *callbacks], **{**defaults, **settings})


class Once(Callback):
    """Do something at one step, once."""

    def __init__(self, step: int, act: Any) -> None:
        self.step, self.act = step, act

    def on_env_step(self, trainer: Any, agent: Any, transition: Any) -> None:
        if trainer.step == self.step:
            self.step = -1
            self.act(trainer)


class FailingReset(gym.Wrapper[Any, Any, Any, Any]):
    def __init__(self, env: Any, at: int) -> None:
        super().__init__(env)
        self.left = at

    def reset(self, **options: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            raise OSError("no answer from the robot")
        return super().reset(**options)


class WritesIntoActions(gym.Wrapper[Any, Any, Any, Any]):
    def step(self, action: Any) -> Any:
        action *= 0.5
        return super().step(action)


def test_a_reset_that_fails_is_gone_on_from_to_the_same_bits(tmp_path: Path) -> None:
    train(pendulum(FailingReset, at=10**6), tmp_path / "whole")
    with pytest.raises(OSError, match="no answer"):
        train(pendulum(FailingReset, at=4), tmp_path / "cut")
    train(pendulum(FailingReset, at=10**6), tmp_path / "cut", resume=tmp_path / "cut")
    assert digests(tmp_path / "whole" / "final") == digests(tmp_path / "cut" / "final")


def test_an_environment_that_writes_into_its_action_is_restored_exactly(tmp_path: Path) -> None:
    train(pendulum(WritesIntoActions), tmp_path / "whole")
    train(pendulum(WritesIntoActions), tmp_path / "cut", Once(15, lambda trainer: trainer.stop("half way")))
    assert Checkpoint.open(tmp_path / "cut" / "final").metadata.progress.step == 15
    train(pendulum(WritesIntoActions), tmp_path / "cut", resume=tmp_path / "cut")
    assert digests(tmp_path / "whole" / "final") == digests(tmp_path / "cut" / "final")


class Noisy(gym.ObservationWrapper[Any, Any, Any]):
    generator = np.random.default_rng()

    def step(self, action: Any) -> Any:
        obs, reward, *rest = super().step(action)
        return obs, float(reward) + self.generator.normal() * 1e-6, *rest

    def observation(self, observation: Any) -> Any:
        return observation


def test_a_resume_in_a_random_environment_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train(pendulum(Noisy), tmp_path, Once(15, lambda trainer: trainer.stop("half way")))
    assert train(pendulum(Noisy), tmp_path, resume=tmp_path).status == "finished"
    (said,) = [m for m in caplog.messages if m.startswith("resume: seed 5: the unfinished episode of Pendulum-v1")]
    assert "answered differently" in said
    assert "\n" not in said


def test_a_resume_with_another_interval_still_evaluates(tmp_path: Path) -> None:
    train(pendulum(), tmp_path, n_episodes=6, evaluate_every=1, evaluation_episodes=1)
    result = train(pendulum(), tmp_path, n_episodes=12, evaluate_every=4, evaluation_episodes=1, resume=tmp_path)
    assert [e.episode for e in result.evaluations] == [8, 12]


def test_a_signal_in_an_evaluation_ends_it_and_a_resume_makes_it_again(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGTERM, lambda *_: None)  # a handler that returns: fit returns too
    try:

        class Strike(Callback):
            def on_evaluation_start(self, trainer: Any, agent: Any) -> None:
                if trainer.episode == 4:
                    os.kill(os.getpid(), signal.SIGTERM)

        settings: dict[str, Any] = {"evaluate_every": 2, "evaluation_episodes": 2}
        whole = train(pendulum(), tmp_path / "whole", **settings)
        cut = train(pendulum(), tmp_path / "cut", Strike(), **settings)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (cut.status, [e.episode for e in cut.evaluations]) == ("interrupted", [2])
    rest = train(pendulum(), tmp_path / "cut", resume=tmp_path / "cut", **settings)
    assert [*cut.evaluations, *rest.evaluations] == whole.evaluations
    assert digests(tmp_path / "whole" / "final") == digests(tmp_path / "cut" / "final")


def test_a_handler_that_exits_leaves_an_interrupted_run(tmp_path: Path) -> None:
    def leave(*_: Any) -> None:
        raise SystemExit(143)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        with pytest.raises(SystemExit):
            train(pendulum(), tmp_path / "c", Once(9, lambda _: os.kill(os.getpid(), signal.SIGTERM)), run_dir=tmp_path)
    finally:
        signal.signal(signal.SIGTERM, before)
    with sqlite3.connect(tmp_path / "metrics.db") as connection:
        assert connection.execute("SELECT status FROM experiment").fetchall() == [("interrupted",)]


def test_two_interrupts_close_everything(tmp_path: Path) -> None:
    def twice(_: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(pendulum(), tmp_path / "c", Once(15, twice), run_dir=tmp_path)
    with sqlite3.connect(tmp_path / "metrics.db") as connection:
        assert connection.execute("SELECT status FROM experiment").fetchall() == [("interrupted",)]
    train(pendulum(), tmp_path / "c", resume=tmp_path / "c")  # the directory isn't held any more


def test_training_in_another_thread_works_without_signals() -> None:
    results: list[TrainResult] = []
    thread = threading.Thread(target=lambda: results.append(train(pendulum())))
    thread.start()
    thread.join()
    assert results[0].status == "finished"


class BadLogger(DummyLogger):
    def finalize(self, status: str) -> None:
        raise OSError("the server is gone")


def test_a_logger_that_fails_to_close_hides_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert train(pendulum(), logger=BadLogger()).status == "finished"
    assert "BadLogger failed at the end (OSError: the server is gone) and gets nothing more" in caplog.text

    def fail(_: Any) -> None:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        train(pendulum(), None, Once(3, fail), logger=BadLogger())


def test_two_callbacks_that_would_share_their_saved_state_are_refused_at_the_start() -> None:
    with pytest.raises(SettingError, match="share the state_key"):
        train(pendulum(), None, EarlyStopping(patience=5), EarlyStopping(target=0.0))


class Reward(gym.Wrapper[Any, Any, Any, Any]):
    def __init__(self, env: Any, give: Any) -> None:
        super().__init__(env)
        self.give = give

    def step(self, action: Any) -> Any:
        obs, reward, *rest = super().step(action)
        return obs, self.give(reward), *rest


def test_a_reward_may_be_an_array_of_one_number_and_nothing_else() -> None:
    plain = train(pendulum()).returns
    assert train(pendulum(Reward, give=lambda r: np.array([r]))).returns == plain
    for give in (lambda r: None, lambda r: np.array([r, r])):
        with pytest.raises(SpaceError, match="expected a number as reward"):
            train(pendulum(Reward, give=give))


def test_a_policy_that_diverged_is_named_and_not_the_environment() -> None:
    agent = LiquidDDPG(3, 6, 1, device="cpu", seed=0)
    with torch.no_grad():
        next(iter(agent.networks["actor"].parameters())).fill_(float("nan"))
    agent.progress[0].step = 10**6  # past the warm-up
    with pytest.raises(NonFiniteError, match="policy: gave the action"):
        agent.train(pendulum(), 4, n_episodes=1, **QUIET)


def test_saving_outside_a_run_is_one_line() -> None:
    class Early(Callback):
        def setup(self, trainer: Any, agent: Any, stage: str) -> None:
            trainer.save("nowhere")

    with pytest.raises(SettingError, match="from on_fit_start"):
        train(pendulum(), None, Early())
