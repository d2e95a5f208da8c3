from __future__ import annotations

import pytest

from velora.callbacks.pace import Pace


def test_nothing_is_known_at_first() -> None:
    pace = Pace()
    assert pace.steps_per_second is None
    assert pace.seconds_left(n_episodes=10, n_steps=None) is None
    pace.mark(0.0, 0, 0)
    assert pace.seconds_left(n_episodes=10, n_steps=None) is None


def test_the_budget_that_ends_first_counts() -> None:
    pace = Pace()
    pace.mark(0.0, 0, 0)
    pace.mark(10.0, 1000, 5)
    assert pace.steps_per_second == 100.0
    assert pace.seconds_left(n_episodes=100, n_steps=None) == pytest.approx(190.0)
    assert pace.seconds_left(n_episodes=100, n_steps=3000) == pytest.approx(20.0)
    assert pace.seconds_left(n_episodes=6, n_steps=3000) == pytest.approx(2.0)


def test_before_the_first_episode_ends_the_steps_tell() -> None:
    pace = Pace()
    pace.mark(0.0, 0, 0)
    pace.mark(1.0, 50, 0)
    assert pace.seconds_left(n_episodes=100, n_steps=None) is None
    assert pace.seconds_left(n_episodes=100, n_steps=100) == pytest.approx(1.0)


def test_only_the_last_while_counts() -> None:
    pace = Pace(horizon_s=30.0)
    pace.mark(0.0, 0, 0)
    pace.mark(10.0, 100_000, 0)
    for second in range(20, 80, 10):
        pace.mark(float(second), 100_000 + second, 0)
    assert pace.steps_per_second == pytest.approx(1.0)


def test_a_restart_forgets() -> None:
    pace = Pace()
    pace.mark(0.0, 0, 0)
    pace.mark(1.0, 1000, 1)
    pace.restart()
    assert pace.steps_per_second is None


def test_a_used_up_budget_takes_no_more_time() -> None:
    pace = Pace()
    pace.mark(0.0, 0, 0)
    pace.mark(1.0, 10, 12)
    assert pace.seconds_left(n_episodes=10, n_steps=None) == 0.0


def test_no_step_is_too_little_to_tell() -> None:
    pace = Pace()
    pace.mark(0.0, 400, 2)
    pace.mark(1.0, 400, 2)
    assert pace.steps_per_second is None
    assert pace.seconds_left(n_episodes=10, n_steps=1000) is None
