"""Curricula: what an episode is lived with, when a stage ends, and that a resume lives it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from tests.unit.callbacks.small_run import make, pendulum, resumed_is_whole, train
from velora.callbacks import Callback, Curriculum, Evaluate, SaveCheckpoints
from velora.core.errors import CheckpointError, SettingError
from velora.models import LiquidPPO


class Lived(Callback):
    """Note the gravity that every episode was lived with."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        self.env, self.gravity = env, list[float]()

    def on_episode_end(self, trainer: Any, agent: Any, episode: Any) -> None:
        self.gravity.append(self.env.unwrapped.g)  # type: ignore[attr-defined]


def test_stages_by_steps() -> None:
    env = pendulum()
    lived = Lived(env)
    train(lived, Curriculum([{"g": 5.0}, {"g": 7.0}, {}], steps=10), env=env)
    assert lived.gravity == [5.0, 5.0, 7.0, 7.0, 10.0, 10.0]  # 12 steps each; 10 is what it was made with


def test_the_environment_is_as_it_was_afterwards() -> None:
    env = pendulum()
    train(Curriculum([{"g": 5.0}]), env=env)
    assert env.unwrapped.g == 10.0  # type: ignore[attr-defined]


def test_stages_by_returns_need_a_full_window_of_their_own() -> None:
    env = pendulum()
    lived = Lived(env)
    train(lived, Curriculum([{"g": 1.0}, {"g": 2.0}, {"g": 3.0}], target=[-1e9, 1e9]), env=env, window_size=2)
    assert lived.gravity == [1.0, 1.0, 2.0, 2.0, 2.0, 2.0]


def test_evaluation_is_of_the_environment_as_it_was_made() -> None:
    """Of an agent that has only warmed up, and so is the same in any environment."""
    easy = train(Curriculum([{"g": 0.0}]), Evaluate(every=1), agent=make(warmup_steps=1_000), n_episodes=1)
    plain = train(Evaluate(every=1), agent=make(warmup_steps=1_000), n_episodes=1)
    assert easy.returns != plain.returns
    assert easy.evaluations == plain.evaluations


def test_a_wrapper_s_number_can_be_changed() -> None:
    class Push(gym.Wrapper[Any, Any, Any, Any]):
        def __init__(self, env: gym.Env[Any, Any]) -> None:
            super().__init__(env)
            self.force = 1.0

    lengths = []

    class Look(Callback):
        def on_episode_end(self, trainer: Any, agent: Any, episode: Any) -> None:
            lengths.append(env.force)

    env = Push(pendulum())
    train(Look(), Curriculum([{"force": 0.5}, {"force": 2.0}], steps=6), env=env, n_episodes=2)
    assert lengths == [0.5, 2.0]
    assert not hasattr(env.unwrapped, "force")


def test_a_resume_in_the_middle_of_an_episode_goes_on_to_the_same_bits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert resumed_is_whole(tmp_path, lambda: [Curriculum([{"g": 5.0}, {"g": 10.0}, {"g": 20.0}], steps=7)])
    assert not caplog.records  # such as of an episode that isn't the same


def test_each_seed_and_each_environment_of_it_has_its_own_stage(tmp_path: Path) -> None:
    def several() -> Any:
        return make(LiquidPPO, seeds=[1, 2], n_envs=2, rollout_steps=8, sequence_length=2)

    stages = [{"g": 5.0}, {"g": 20.0}]
    assert resumed_is_whole(tmp_path, lambda: [Curriculum(stages, target=-30.0, steps=50)], several)


def test_a_checkpoint_is_refused_by_an_environment_that_lacks_what_was_set(tmp_path: Path) -> None:
    train(Curriculum([{"g": 5.0}]), SaveCheckpoints(tmp_path / "run"), n_steps=15)
    other = pendulum()
    del vars(other.unwrapped)["g"]
    with pytest.raises(CheckpointError, match=r"has no number 'g' that could be set to 5\.0"):
        train(SaveCheckpoints(tmp_path / "run"), env=other, resume=tmp_path / "run")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (([],), "expected one or more of"),
        (([{"g": 1.0}, {"g": 2.0}],), r"expected target= or steps= \(or both\), got neither"),
        (([{"g": 1.0}] * 3, [1.0]), "expected 2 for 3 stages"),
    ],
)
def test_bad_settings(arguments: Any, complaint: str) -> None:
    with pytest.raises(SettingError, match=complaint):
        Curriculum(arguments[0], target=arguments[1] if len(arguments) > 1 else None)


def test_an_attribute_that_isn_t_there_is_refused_before_the_first_step() -> None:
    with pytest.raises(SettingError, match="no number 'max_sped' that could be set; did you mean max_speed"):
        train(Curriculum([{"max_sped": 5.0}]))


@pytest.mark.slow  # a process of its own
def test_an_environment_in_a_worker_is_refused() -> None:
    with pytest.raises(SettingError, match="in a worker can't be changed"):
        train(Curriculum([{"g": 5.0}]), workers=1)
