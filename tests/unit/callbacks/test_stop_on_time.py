"""The time of a run, over its resumes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.unit.callbacks.small_run import train
from velora.callbacks import SaveCheckpoints, StopOnTime
from velora.core.errors import SettingError


def test_it_stops_when_the_time_is_up() -> None:
    began = time.monotonic()
    result = train(StopOnTime(seconds=0.2), n_episodes=1_000_000)
    assert (result.status, result.stop_reason) == ("stopped", "the time of 0.2 s is up")
    assert time.monotonic() - began >= 0.2


def test_the_time_goes_on_over_a_resume_unless_each_start_counts(tmp_path: Path) -> None:
    home = tmp_path / "run"
    train(StopOnTime(minutes=0.005), SaveCheckpoints(home), n_episodes=1_000_000)
    at_once = train(StopOnTime(seconds=0.3), SaveCheckpoints(home), n_episodes=1_000_000, resume=home)
    assert sum(at_once.steps) == 1
    again = train(StopOnTime(seconds=0.3, each_start=True), SaveCheckpoints(home), n_episodes=1_000_000, resume=home)
    assert sum(again.steps) > 5
    more = train(StopOnTime(seconds=0.3, hours=1), SaveCheckpoints(home), n_episodes=5, resume=home)
    assert more.status == "finished"


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [({}, "got no time"), ({"minutes": -1}, "stop_on_time.minutes: expected a finite number >= 0, got -1")],
)
def test_bad_settings(settings: dict[str, float], complaint: str) -> None:
    with pytest.raises(SettingError, match=complaint):
        StopOnTime(**settings)  # type: ignore[arg-type]
