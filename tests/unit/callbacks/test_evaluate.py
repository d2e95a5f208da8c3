"""Rounds of evaluation by steps and on chosen episodes."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.unit.callbacks.small_run import make, train
from velora.callbacks import Callback, EarlyStopping, Evaluate, SaveCheckpoints
from velora.checkpoint import Checkpoint
from velora.core.errors import SettingError


def at(result: Any) -> list[int]:
    return [evaluation.step for evaluation in result.evaluations]


def test_by_steps_at_the_end_of_the_episode_that_is_running_then() -> None:
    assert at(train(Evaluate(steps=10, episodes=1))) == [12, 24, 30]  # 10, 20 and 30 steps


def test_by_episodes_as_evaluate_every_does() -> None:
    ours, theirs = train(Evaluate(every=2)), train(evaluate_every=2)
    assert ours.evaluations == theirs.evaluations


def test_together_with_evaluate_every_a_round_is_made_once() -> None:
    assert at(train(Evaluate(steps=12, episodes=1), evaluate_every=3)) == [12, 18, 24, 36]


def test_the_episodes_are_chosen_for_all_evaluations_of_the_run() -> None:
    chosen = train(Evaluate(every=4, episodes=3, seed=9), evaluate_every=3).evaluations
    assert [len(one.returns) for one in chosen] == [3, 3, 3]
    assert len(set(chosen[0].returns)) == 3
    plain = train(evaluate_every=3).evaluations
    assert not set(chosen[0].returns) & set(plain[0].returns)


def test_training_knows_nothing_of_it() -> None:
    assert train(Evaluate(steps=5)).returns == train().returns


def test_best_and_early_stopping_go_by_it(tmp_path: Path) -> None:
    result = train(
        Evaluate(steps=6, episodes=2), EarlyStopping(monitor="evaluation", patience=2, min_delta=1e6),
        SaveCheckpoints(tmp_path / "run", frequency=None),
    )  # fmt: skip
    assert (result.status, at(result)) == ("stopped", [6, 12, 18])
    best = max(result.evaluations, key=lambda one: one.mean)
    assert Checkpoint.open(tmp_path / "run" / "best").metadata.progress.step == best.step


def test_a_resume_makes_the_rounds_that_are_left(tmp_path: Path) -> None:
    """From the middle of an episode in which a round has become due."""
    home = tmp_path / "run"
    train(Evaluate(steps=10, episodes=1), SaveCheckpoints(home), n_steps=11)
    rest = train(Evaluate(steps=10, episodes=1), SaveCheckpoints(home), resume=home)
    assert at(rest) == [12, 24, 30]


def test_a_round_that_a_signal_came_into_is_made_by_the_resume(tmp_path: Path) -> None:
    class Interrupt(Callback):
        def on_evaluation_start(self, trainer: Any, agent: Any) -> None:
            signal.raise_signal(signal.SIGINT)

    home = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(Evaluate(steps=10), Interrupt(), SaveCheckpoints(home))
    assert Checkpoint.open(home / "interrupted").metadata.progress.step == 12
    rest = train(Evaluate(steps=10), SaveCheckpoints(home), resume=home)
    assert rest.evaluations == train(Evaluate(steps=10)).evaluations


def test_seeds_are_evaluated_at_their_own_steps() -> None:
    result = train(Evaluate(steps=10, episodes=1), agent=make(seeds=[3, 4]))
    assert [(one.seed_index, one.step) for one in result.evaluations] == [
        (0, 12), (1, 12), (0, 24), (1, 24), (0, 30), (1, 30),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({}, r"expected every= or steps= \(or both\), got neither"),
        ({"steps": 0}, "evaluate.steps: expected a whole number >= 1 or None, got 0"),
        ({"every": 1, "seed": -1}, "evaluate.seed: expected a whole number >= 0"),
    ],
)
def test_bad_settings(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SettingError, match=complaint):
        Evaluate(**settings)
