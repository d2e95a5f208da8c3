"""An evaluation of an environment that never ends an episode: it says its limit, keeps it, and says so."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from tests.shared import QUIET
from velora.callbacks import Callback
from velora.core.errors import SettingError
from velora.core.types import Evaluation
from velora.envs import Environments
from velora.models import LiquidDDPG
from velora.training.evaluation import evaluate


class Endless(gym.Env[Any, Any]):
    """It pays one for every step, and never ends, unless the first number of its seed says when."""

    observation_space = gym.spaces.Box(-1.0, 1.0, (2,))
    action_space = gym.spaces.Box(-1.0, 1.0, (1,))

    def __init__(self, end: int | None = None) -> None:
        self.end, self.steps = end, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        return np.zeros(2, np.float32), 1.0, self.steps == self.end, False, {}


class EvaluateAtTheEnd(Callback):
    def on_train_end(self, trainer: Any, agent: Any) -> None:
        trainer.evaluate()


def make(**settings: Any) -> LiquidDDPG:
    return LiquidDDPG(2, 5, 1, device="cpu", seed=1, warmup_steps=4, buffer_size=50, **settings)


def test_episodes_are_cut_and_the_next_begin_afresh(caplog: pytest.LogCaptureFixture) -> None:
    agent = make()
    for end, earned, n_cut in ((None, 7.0, 5), (7, 7.0, 0), (6, 6.0, 0), (8, 7.0, 5)):
        caplog.clear()
        envs = Environments([Endless(end) for _ in range(2)], obs_dim=2)
        assert evaluate(agent, envs, range(5), max_steps=7).tolist() == [[earned] * 5]
        lines = [record.getMessage() for record in caplog.records]
        cut = f"evaluation: {n_cut} of 5 episodes were cut after 7 steps, since the environment did not end them"
        assert lines == ([cut] if n_cut else [])


def test_the_limit_is_said_before_and_kept(caplog: pytest.LogCaptureFixture) -> None:
    env = gym.make("Pendulum-v1", max_episode_steps=-1)
    agent = LiquidDDPG(3, 5, 1, device="cpu", seed=1, warmup_steps=4, buffer_size=50)
    seen: list[Evaluation] = []

    class Keep(Callback):
        def on_evaluation_start(self, trainer: Any, agent: Any) -> None:
            caplog.clear()

        def on_evaluation_end(self, trainer: Any, agent: Any, evaluation: Evaluation) -> None:
            seen.append(evaluation)

    settings: dict[str, Any] = {"evaluation_episodes": 2, "evaluation_max_steps": 30, **QUIET}
    agent.train(env, 4, n_steps=10, callbacks=[EvaluateAtTheEnd(), Keep()], **settings)
    assert len(seen[0].returns) == 2
    limit, cut = (record.getMessage() for record in caplog.records if "evaluation" in record.getMessage())
    assert limit == (
        "evaluation: Pendulum-v1 has no time limit; an episode that does not end is cut after 30 steps "
        "(evaluation_max_steps)"
    )
    assert cut.startswith("evaluation: 2 of 2 episodes were cut after 30 steps")


def test_an_environment_with_a_time_limit_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    agent = LiquidDDPG(3, 5, 1, device="cpu", seed=1, warmup_steps=4, buffer_size=50)
    env = gym.make("Pendulum-v1", max_episode_steps=5)
    agent.train(env, 4, n_episodes=2, evaluate_every=1, evaluation_episodes=2, **QUIET)
    assert "evaluation" not in caplog.text


class StopAtTen(Callback):
    def on_train_batch_end(self, trainer: Any, agent: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        trainer.should_stop = trainer.step >= 10


@pytest.mark.parametrize("budget", [{"n_episodes": 3}, {"n_steps": 10}, {"n_episodes": 3, "n_steps": 10}])
def test_a_number_of_episodes_that_may_never_be_reached_is_said(
    budget: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    env = gym.make("Pendulum-v1", max_episode_steps=-1)
    agent = LiquidDDPG(3, 5, 1, device="cpu", seed=1, warmup_steps=4, buffer_size=50)
    agent.train(env, 4, callbacks=[StopAtTen()], **budget, **QUIET)
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("train: ")]
    line = (
        "train: Pendulum-v1 has no time limit, so where an episode doesn't end, n_episodes=3 is never reached; "
        "give n_steps too, or register it with max_episode_steps"
    )
    assert told == ([] if "n_steps" in budget else [line])


def test_a_limit_below_one_step_is_refused() -> None:
    with pytest.raises(SettingError, match="evaluation_max_steps: expected a whole number of at least 1, got 0"):
        make().train(Endless(5), 4, n_episodes=1, evaluation_max_steps=0, **QUIET)
