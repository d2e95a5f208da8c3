"""Saves between the start of a run and its end: by steps, by the clock, at a signal, and on a full disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from velora.callbacks import SaveCheckpoints, on_the_way, save_checkpoints
from velora.callbacks.save_clock import SaveClock
from velora.core.errors import SettingError

from .saved import episode_in, names
from .stand_in import Agent, Trainer


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "run" / "checkpoints"


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(save_checkpoints, "time", made)
    monkeypatch.setattr(on_the_way, "time", made)
    return made


def start(home: Path, *, agent: Agent | None = None, **settings: Any) -> Trainer:
    trainer = Trainer(agent or Agent(), callbacks=[SaveCheckpoints(home, **{"frequency": None, **settings})])
    trainer.start()
    return trainer


# ---- by steps and by the clock


def test_an_endless_episode_is_saved_by_steps(home: Path) -> None:
    trainer = start(home, steps=5)
    trainer.take_steps(12)
    assert names(home) == {"step5", "step10", "model_config.json"}
    trainer.lanes[0].step += 7  # as several environments of one seed count
    trainer.take_steps(1)
    assert names(home) >= {"step20"}
    trainer.end()


def test_the_oldest_by_steps_go_by_themselves(home: Path) -> None:
    trainer = start(home, steps=5, frequency=1, keep_last=2)
    trainer.take_steps(20)
    trainer.play(0.0, 0.0)
    assert names(home) == {"step220", "step420", "ep1", "ep2", "model_config.json"}
    trainer.end()


def test_a_run_that_goes_on_counts_its_steps_from_where_it_is(home: Path) -> None:
    trainer = Trainer(Agent(), callbacks=[SaveCheckpoints(home, frequency=None, steps=100)])
    trainer.lanes[0].step = 350
    trainer.start()
    trainer.take_steps(49)
    assert names(home) == set()
    trainer.take_steps(1)
    assert names(home) == {"step400", "model_config.json"}
    trainer.end()


def test_the_clock_saves_what_nothing_else_did(home: Path, clock: Clock) -> None:
    trainer = start(home, frequency=1, minutes=10)
    for minute, saves in ((0.5, 0), (1.1, 1), (10.0, 1), (11.2, 2), (12.0, 2)):
        clock.now_s = 60 * minute
        trainer.take_steps(1)
        assert len(trainer.saves) == saves
    trainer.play(0.0)
    assert [name for name, _, _ in trainer.saves] == ["recent", "recent", "ep1"]
    clock.now_s = 60 * 21.9
    trainer.take_steps(1)
    assert len(trainer.saves) == 3
    clock.now_s = 60 * 22.1
    trainer.take_steps(1)
    assert trainer.saves[3:] == [("recent", True, False)]
    trainer.end()


def test_a_seed_that_stands_still_is_saved_once(home: Path, clock: Clock) -> None:
    trainer = start(home, agent=Agent(seeds=(3, 11)), minutes=1)
    trainer.take_steps(5, seed_index=1)
    for minute in range(1, 4):
        clock.now_s = 60 * minute + 1
        trainer.take_steps(1)
    assert len(trainer.saves) == 4
    assert names(home / "seed11") == {"recent", "model_config.json"}
    trainer.end()


def test_a_signal_saves_at_once_and_no_two_times_the_same(home: Path) -> None:
    trainer = start(home, minutes=None)
    trainer.take_steps(3)
    trainer.save_requests += 2
    trainer.take_steps(2)
    assert trainer.saves == [("recent", True, True)]
    trainer.save_requests += 1
    trainer.fire("on_step_end")
    assert len(trainer.saves) == 2
    trainer.save_requests += 1
    trainer.fire("on_step_end")
    assert len(trainer.saves) == 2
    trainer.end()


@pytest.mark.parametrize("minutes", [0, -1, True, "10", float("nan"), float("inf")])
def test_bad_minutes(minutes: Any) -> None:
    with pytest.raises(SettingError, match=r"save_checkpoints\.minutes: expected a number above 0 or None, got "):
        SaveCheckpoints("x", minutes=minutes)


def test_a_clock_that_is_off_never_rings() -> None:
    clock = SaveClock(None)
    clock.start({0: 0}, 0.0)
    clock.failed(0, 0.0)
    assert clock.alarm == float("inf")
    assert clock.due({0: 5}, 1e9) == []
    assert clock.due({0: 5}, 1e9, is_asked=True) == [0]


# ---- on a full disk


def test_a_full_disk_is_told_once_and_tried_again(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    trainer = start(home, frequency=1)
    trainer.disk_is_full = True
    trainer.play(0.0, 0.0, 0.0)
    assert caplog.text.count("not saved: [Errno 28] No space left on device; training goes on, and the next save") == 1
    assert names(home) == set()
    trainer.disk_is_full = False
    trainer.play(0.0)
    assert f"{home}: can be written again; ep4 is saved" in caplog.text
    trainer.disk_is_full = True
    trainer.play(0.0, 0.0)
    assert caplog.text.count("not saved: ") == 2
    trainer.disk_is_full = False
    trainer.end()
    assert names(home) == {"ep4", "final", "model_config.json"}


def test_a_full_disk_is_tried_again_by_the_clock_after_a_minute(home: Path, clock: Clock) -> None:
    trainer = start(home, frequency=1, minutes=10)
    trainer.disk_is_full = True
    trainer.play(0.0)
    trainer.disk_is_full = False
    clock.now_s = 61.0
    trainer.fire("on_step_end")  # the very step that could not be saved
    assert [name for name, _, _ in trainer.saves] == ["recent"]
    trainer.end()


def test_a_full_disk_at_the_end_is_an_error(home: Path) -> None:
    trainer = start(home, frequency=1)
    trainer.play(0.0)
    trainer.disk_is_full = True
    with pytest.raises(OSError, match="No space left"):
        trainer.end()
    trainer.crash(OSError())


def test_a_failed_save_removes_nothing(home: Path) -> None:
    trainer = start(home, frequency=1, keep_last=1)
    trainer.play(0.0)
    trainer.disk_is_full = True
    trainer.play(0.0)
    assert names(home) == {"ep1", "model_config.json"}
    trainer.crash(OSError())


def test_an_evaluation_is_the_best_only_if_it_is_saved(home: Path) -> None:
    trainer = start(home)
    trainer.play(0.0)
    trainer.disk_is_full = True
    trainer.show_evaluation(9.0)
    assert trainer.callbacks[0].seed_state_dict(7) == {}
    trainer.disk_is_full = False
    trainer.play(0.0)
    trainer.show_evaluation(5.0)
    assert episode_in(home / "best") == 2
    trainer.disk_is_full = True
    trainer.show_evaluation(8.0)
    assert trainer.callbacks[0].seed_state_dict(7) == {"best": 5.0}
    trainer.disk_is_full = False
    trainer.end()
