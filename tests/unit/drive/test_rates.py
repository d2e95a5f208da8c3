"""The rate that a machine can hold, and the process that it is held in."""

from __future__ import annotations

import gc
import itertools
import sys
import time

import pytest
import torch

from velora.core.errors import SettingError
from velora.drive import AgentController, DriveSettings
from velora.drive.quiet import SWITCH_S, prioritised, quiet
from velora.drive.rates import LEAST, check_rate, rehearse
from velora.models import LiquidDDPG


def test_a_rate_that_leaves_no_room_is_refused_with_one_that_does() -> None:
    with pytest.raises(SettingError) as caught:
        check_rate(0.00123, DriveSettings(rate=700.0), advice=", or more with loop=c")
    assert str(caught.value) == (
        "rate: this machine can't hold 700 ticks a second; one tick's work takes 1.23 ms; expected at most 650, or "
        "more with loop=c"
    )
    check_rate(0.00123, DriveSettings(rate=650.0), advice="")
    with pytest.raises(SettingError, match=r"expected at most 320$"):
        check_rate(0.00123, DriveSettings(rate=650.0, deadline=0.5), advice="")


def test_work_is_measured_without_a_trace() -> None:
    controller = AgentController(LiquidDDPG(3, 12, 1, seed=1))
    seconds = rehearse(controller, None, DriveSettings(rate=10.0))
    assert 1e-6 < seconds < 0.1


def test_slow_work_is_measured_a_few_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds, calls = itertools.count(), list[int]()
    controller = AgentController(LiquidDDPG(3, 12, 1, seed=1))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(seconds)))
    monkeypatch.setattr(controller, "rehearse", lambda: calls.append(1))
    assert rehearse(controller, None, DriveSettings(rate=10.0)) == 1.0
    assert len(calls) == LEAST


def test_nothing_interrupts_inside_and_all_is_as_before_outside() -> None:
    before = gc.isenabled(), gc.get_freeze_count(), sys.getswitchinterval(), torch.get_num_threads()
    with quiet():
        assert (gc.isenabled(), torch.get_num_threads()) == (False, 1)
        assert sys.getswitchinterval() == pytest.approx(SWITCH_S)
        assert gc.get_freeze_count() > before[1]
    assert (gc.isenabled(), sys.getswitchinterval(), torch.get_num_threads()) == (before[0], *before[2:])


def test_a_priority_out_of_range() -> None:
    with prioritised(0):
        pass
    with pytest.raises(SettingError, match="priority: expected from 1 to 99, or 0 for none, got 100"), prioritised(100):
        pass
