from __future__ import annotations

import json
import math
from typing import Any

import pytest

from velora.callbacks import EarlyStopping
from velora.core.errors import SettingError

from .stand_in import Agent, Trainer


def started(*, agent: Agent | None = None, **settings: Any) -> Trainer:
    trainer = Trainer(agent or Agent(), callbacks=[EarlyStopping(**settings)], evaluate_every=1)
    trainer.start()
    return trainer


def test_the_target_counts_only_once_the_window_is_full() -> None:
    trainer = started(target=10.0)
    trainer.play(50.0, 50.0)
    assert not trainer.should_stop
    trainer.play(50.0)
    assert trainer.should_stop
    assert trainer.stop_reason == "window mean 50 reached the target 10"


def test_a_mean_equal_to_the_target_reaches_it() -> None:
    trainer = started(target=0.0)
    trainer.play(0.0, 0.0, 0.0)
    assert trainer.should_stop


def test_returns_of_exactly_zero_do_not_count_as_the_last_good_one() -> None:
    trainer = started(target=4.0)
    trainer.play(5.0, 0.0, 0.0, 0.0, 0.0)
    assert not trainer.should_stop


def test_patience_counts_episodes_after_the_window_is_full() -> None:
    trainer = started(patience=3)
    trainer.play(1.0, 1.0, 1.0, 1.0, 1.0)
    assert not trainer.should_stop
    trainer.play(1.0)
    assert trainer.stop_reason == "window mean did not rise above 1 for 3 episodes"


def test_an_improvement_starts_the_wait_again() -> None:
    trainer = started(patience=2)
    trainer.play(1.0, 1.0, 1.0, 0.0, 9.0, 0.0)
    assert not trainer.should_stop
    trainer.play(0.0)
    assert trainer.should_stop


def test_less_than_min_delta_is_no_improvement() -> None:
    trainer = started(patience=2, min_delta=1.0, monitor="evaluation")
    trainer.show_evaluation(0.0)
    trainer.show_evaluation(1.0)
    trainer.show_evaluation(1.0)
    assert trainer.stop_reason == "evaluation mean did not rise above 0 for 2 evaluations"


def test_evaluations_are_judged_alone() -> None:
    trainer = started(target=5.0, monitor="evaluation")
    trainer.play(9.0, 9.0, 9.0, 9.0)
    trainer.show_evaluation(4.0, 5.0)
    assert not trainer.should_stop
    trainer.show_evaluation(4.0, 6.0)
    assert trainer.should_stop


def test_nan_is_never_an_improvement_nor_the_target() -> None:
    trainer = started(target=-1e9, patience=2, monitor="evaluation")
    trainer.show_evaluation(math.nan)
    assert not trainer.should_stop
    trainer.show_evaluation(math.nan)
    assert trainer.stop_reason == "evaluation mean did not rise above a finite value for 2 evaluations"


def test_each_seed_stops_alone() -> None:
    trainer = started(target=1.0, agent=Agent(seeds=(3, 4)))
    trainer.play(1.0, 1.0, 1.0, seed_index=1)
    trainer.play(0.0, 0.0, 0.0, seed_index=0)
    assert [lane.done for lane in trainer.lanes] == [False, True]
    assert not trainer.should_stop


def test_a_resumed_run_stops_at_the_same_episode() -> None:
    trainer = started(patience=3)
    trainer.play(1.0, 1.0, 1.0, 0.0)
    state = json.loads(json.dumps(trainer.callbacks[0].seed_state_dict(7), allow_nan=False))
    assert state == {"best": 1.0, "waited": 1}
    assert trainer.callbacks[0].seed_state_dict(8) == {}
    trainer.callbacks = [EarlyStopping(patience=3)]
    trainer.fire("setup", "fit")
    trainer.callbacks[0].load_seed_state_dict(7, state)
    trainer.play(0.0)
    assert not trainer.should_stop
    trainer.play(0.0)
    assert trainer.should_stop


def test_both_monitors_may_watch_one_run() -> None:
    assert EarlyStopping(target=0.0).state_key != EarlyStopping(target=0.0, monitor="evaluation").state_key


def test_waiting_for_evaluations_that_never_come_is_refused() -> None:
    trainer = Trainer(callbacks=[EarlyStopping(target=0.0, monitor="evaluation")])
    with pytest.raises(SettingError, match="evaluate_every"):
        trainer.start()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"expected target= or patience="),
        ({"target": math.nan}, r"early_stopping\.target: expected a finite number, got nan"),
        ({"patience": 0}, r"early_stopping\.patience: expected a whole number >= 1, got 0"),
        ({"patience": 2.5}, r"early_stopping\.patience"),
        ({"patience": True}, r"early_stopping\.patience"),
        ({"patience": 1, "min_delta": -0.1}, r"early_stopping\.min_delta: expected a finite number >= 0, got -0\.1"),
        ({"patience": 1, "monitor": "evalution"}, r"got 'evalution'; did you mean 'evaluation'\?"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        EarlyStopping(**settings)
