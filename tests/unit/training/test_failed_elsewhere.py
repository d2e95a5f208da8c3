"""A run that fails in a reset or in a callback: it goes on to the same bits and rows, or says that it may not."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.wrappers import NormalizeObservation

from tests.shared import QUIET, digests
from tests.unit.training.test_failed_steps import AT, N_STEPS, SEEDS, Breaks, Broken, sound, td3
from velora.callbacks import Callback, Curriculum, GradientMonitor, LearningRateMonitor, SaveCheckpoints
from velora.core.errors import SettingError
from velora.models import LiquidTD3
from velora.training.hook_table import LAST, HookTable

Make = Callable[[], gym.Env[Any, Any]]


class ResetBreaks(gym.Wrapper[Any, Any, Any, Any]):
    """Fail at one reset, once it is done inside."""

    def __init__(self, env: gym.Env[Any, Any], at: int) -> None:
        super().__init__(env)
        self.left = at

    def reset(self, **options: Any) -> Any:
        answer = self.env.reset(**options)
        self.left -= 1
        if self.left == 0:
            raise RuntimeError("broken")
        return answer


class Fails(Callback):
    """Fail once, at the end of an episode, before the callbacks that follow."""

    def __init__(self) -> None:
        self.is_done = False

    def on_episode_end(self, trainer: Any, agent: Any, episode: Any) -> None:
        if not self.is_done:
            self.is_done = True
            raise RuntimeError("broken")


def run(home: Path, env: Make, *callbacks: Callback, resume: bool = False, **options: Any) -> Path:
    saving = SaveCheckpoints(home / "checkpoints")
    if resume:
        options["resume"] = home / "checkpoints"
    td3().train(env, 8, n_steps=N_STEPS, callbacks=[*callbacks, saving], run_dir=home, **options, **QUIET)
    return home


def cut_and_gone_on(home: Path, broken: Make, whole: Make, *callbacks: Callback, **options: Any) -> Path:
    with pytest.raises(RuntimeError, match="broken"):
        run(home, broken, *callbacks, **options)
    return run(home, whole, *callbacks, resume=True, **options)


def results(home: Path) -> list[dict[str, str]]:
    return [digests(home / "checkpoints" / f"seed{seed}" / "final") for seed in SEEDS]


def logged(home: Path) -> list[Any]:
    with sqlite3.connect(home / "metrics.db") as store:
        return sorted(store.execute("SELECT seed, step, name, value FROM logged"))


def breaking_reset(inside: Make, at: int) -> Make:
    made = list[gym.Env[Any, Any]]()

    def make() -> gym.Env[Any, Any]:
        made.append(ResetBreaks(inside(), at if len(made) == 1 else 0))
        return made[-1]

    return make


def normalised() -> gym.Env[Any, Any]:
    return NormalizeObservation(sound())


@pytest.mark.parametrize("at", [1, 2, 3])  # the first reset, which is repeated, and that of the second episode
def test_statistics_of_a_reset_that_failed_are_those_before_it(at: int, tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", breaking_reset(normalised, 0))
    cut = cut_and_gone_on(tmp_path / "cut", breaking_reset(normalised, at), breaking_reset(normalised, 0))
    assert results(cut) == results(whole)


def test_the_episode_before_a_reset_that_failed_was_of_the_stage_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stages = Curriculum([{"g": 5.0}, {"g": 10.0}], steps=20)
    cut_and_gone_on(tmp_path, breaking_reset(sound, 2), sound, stages)
    assert not [line for line in caplog.messages if "lived again" in line]


@pytest.mark.parametrize("after", [AT, AT + 1])  # a row is due with the update; the next update is of critics alone
def test_rows_of_monitors(after: int, tmp_path: Path) -> None:
    """The rows of the failed step's update are of that step, and are there once."""
    monitors = GradientMonitor(every=AT - 9), GradientMonitor(every=1), LearningRateMonitor(every=AT - 9)
    whole = run(tmp_path / "whole", sound, *monitors)
    cut = cut_and_gone_on(tmp_path / "cut", Broken(after=after), sound, *monitors)
    assert logged(cut) == logged(whole)
    assert results(cut) == results(whole)


def test_the_norms_that_a_monitor_takes_back_are_numbers() -> None:
    monitor = GradientMonitor()
    monitor.load_seed_state_dict(3, {"actor": 0.5})
    assert monitor.seed_state_dict(3) == {"actor": 0.5}
    with pytest.raises(SettingError, match="gradient_monitor: expected finite norms"):
        monitor.load_seed_state_dict(3, {"actor": float("nan")})


def test_a_callback_that_ends_the_run_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Others after it weren't told, such as a curriculum whose stage was over."""
    stages = Curriculum([{"g": 5.0}, {"g": 10.0}], steps=20)
    cut_and_gone_on(tmp_path, sound, sound, Fails(), stages)
    said = [line for line in caplog.messages if "an error in on_episode_end ended the run after 25 steps" in line]
    assert len(said) == len(SEEDS)


def test_an_evaluation_that_ends_the_run_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Callbacks weren't told of the episode's end, nor of the step's."""
    made = list[gym.Env[Any, Any]]()

    def make() -> gym.Env[Any, Any]:
        made.append(Breaks(sound(), 1 if len(made) == len(SEEDS) else N_STEPS))
        return made[-1]

    cut_and_gone_on(tmp_path, make, sound, evaluate_every=1, evaluation_episodes=1)
    said = [line for line in caplog.messages if "an error in evaluation ended the run after 25 steps" in line]
    assert len(said) == len(SEEDS)


class Stops(Callback):
    def on_train_batch_end(self, trainer: Any, agent: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.step == AT + 1:
            trainer.stop("enough")


def test_a_stop_that_was_asked_for_in_a_step_that_failed_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cut_and_gone_on(tmp_path, Broken(), sound, Stops())
    said = [line for line in caplog.messages if f"an error in {LAST} ended the run after {AT} steps" in line]
    assert len(said) == len(SEEDS)


class Failing(Callback):
    def __init__(self, error: Exception) -> None:
        self.error = error

    def on_step_end(self, trainer: Any, agent: Any) -> None:
        raise self.error

    def on_train_start(self, trainer: Any, agent: Any) -> None:
        raise self.error


def test_the_hook_that_ended_a_run_is_known_by_its_error() -> None:
    own, other = RuntimeError("own"), RuntimeError("other")
    for name, end, expected in (
        ("on_step_end", own, "on_step_end"),
        ("on_step_end", other, None),  # the first was caught
        ("on_train_start", own, None),  # fires again
    ):
        hooks = HookTable([Failing(own)], None, None)
        with pytest.raises(RuntimeError, match="own"):
            hooks.fire(name)
        hooks.note_end(end)
        assert hooks.failed_in == expected


class Own(LiquidTD3):
    """Agent that fails once, when its second episode is to begin."""

    is_broken = False

    def begin_episode(self, seed_index: int) -> None:
        if self.is_broken and self.progress[seed_index].episode == 1:
            raise RuntimeError("broken")
        super().begin_episode(seed_index)


def test_an_episode_that_the_agent_can_not_begin_has_not_begun(tmp_path: Path) -> None:
    def train(home: Path, *, is_broken: bool = False, **options: Any) -> None:
        agent = Own(3, 6, 1, warmup_steps=10, buffer_size=100, device="cpu", seed=3)
        agent.is_broken = is_broken
        agent.train(sound, 8, n_steps=N_STEPS, callbacks=[SaveCheckpoints(home)], **options, **QUIET)

    train(tmp_path / "whole")
    with pytest.raises(RuntimeError, match="broken"):
        train(tmp_path / "cut", is_broken=True)
    train(tmp_path / "cut", resume=tmp_path / "cut")
    assert digests(tmp_path / "cut" / "final") == digests(tmp_path / "whole" / "final")
