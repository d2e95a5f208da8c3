"""The loop on a virtual clock: its schedule, deadlines, dt, watchdog; what is expected was worked out by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from velora.core.errors import NonFiniteError, PlantError, SettingError
from velora.drive import Driven, DriveSettings, Loop, Reading, Sizes, VirtualClock
from velora.drive.watchdog import StuckLoop

MS = 1_000_000
SIZES = Sizes(2, 1, (-2.0,), (2.0,))


class Bench:
    """A plant with a new reading at every tick, but where ``silent`` says; what was written is kept with its time."""

    def __init__(
        self, clock: VirtualClock, silent: Callable[[int], bool] = lambda tick: False, late_ns: int = 0
    ) -> None:
        self.clock, self.silent, self.late_ns = clock, silent, late_ns
        self.n_read = 0
        self.written: list[tuple[int, float]] = []
        self.obs = np.zeros(2, np.float32)

    def read(self) -> Reading | None:
        self.n_read += 1
        if self.silent(self.n_read - 1):
            return None
        return Reading(self.obs, self.clock.now() - self.late_ns, begins=self.n_read == 1, reward=1.0)

    def write(self, action: NDArray[Any]) -> None:
        self.written.append((self.clock.now(), float(action[0])))

    def close(self) -> None:
        pass


class Thinker:
    """A controller that takes so long at each step, and notes the dt that it is told; its action counts its steps."""

    sizes, name = SIZES, "thinker"

    def __init__(self, clock: VirtualClock, takes_ns: Callable[[int], int] = lambda step: 0) -> None:
        self.clock, self.takes_ns = clock, takes_ns
        self.told: list[float] = []
        self.n_begun = 0

    def begin(self) -> None:
        self.n_begun += 1

    def act(self, reading: Reading, dt: float) -> NDArray[Any]:
        self.told.append(dt)
        self.clock.advance(self.takes_ns(len(self.told) - 1))
        return np.array([1.0 + 0.01 * len(self.told)], np.float32)

    def rehearse(self) -> None:
        pass

    def close(self) -> None:
        pass


def driven(
    *, steps: int = 10, lateness: Callable[[], int] = lambda: 0, takes_ns: Callable[[int], int] = lambda step: 0,
    silent: Callable[[int], bool] = lambda tick: False, **settings: Any,
) -> tuple[Driven, Bench, Thinker]:  # fmt: skip
    clock = VirtualClock(lateness)
    plant, thinker = Bench(clock, silent), Thinker(clock, takes_ns)
    own = {"rate": 100.0, "steps": steps, **settings}
    return Loop(thinker, plant, DriveSettings(**own), clock=clock).run(), plant, thinker


def test_the_schedule_does_not_drift() -> None:
    found, plant, _ = driven(steps=1000, lateness=lambda: 3 * MS, takes_ns=lambda step: 2 * MS)
    assert [time for time, _ in plant.written[:3]] == [5 * MS, 15 * MS, 25 * MS]
    assert plant.written[999][0] == 9_995 * MS
    assert (found.ended, found.tally.ticks, found.tally.acted, found.tally.misses) == ("finished", 1000, 1000, 0)
    assert (found.tally.lateness.most_ns, found.tally.work.most_ns) == (3 * MS, 2 * MS)


@pytest.mark.parametrize(
    ("takes_ms", "late", "skipped", "next_at"),
    [(10, 0, 0, 20), (12, 1, 0, 22), (21, 1, 1, 31), (35, 1, 2, 45)],
)
def test_a_long_step_is_late_and_those_that_it_covers_are_skipped(
    takes_ms: int, late: int, skipped: int, next_at: int
) -> None:
    """Tick 1, due at 10 ms, takes so long; ticks whose own deadline has passed by then never begin."""
    found, plant, _ = driven(steps=8, takes_ns=lambda step: takes_ms * MS if step == 1 else 0)
    tally = found.tally
    assert (tally.late, tally.skipped, tally.acted, tally.ticks) == (late, skipped, 8 - skipped, 8)
    after = max(next_at, 10 * (2 + skipped))
    assert plant.written[2][0] == after * MS
    assert plant.written[-2][0] == 70 * MS


def test_dt_is_the_time_between_readings_in_control_steps() -> None:
    found, _, thinker = driven(steps=5, step_s=0.02, lateness=iter([0, 4 * MS, 0, 0, 0]).__next__)
    assert thinker.told == pytest.approx([1.0, 0.7, 0.3, 0.5, 0.5])
    assert (found.tally.dt_least, found.tally.dt_most) == pytest.approx((0.3, 1.0))


def test_a_missing_reading_makes_the_next_dt_longer_and_nothing_else() -> None:
    found, plant, thinker = driven(steps=6, silent=lambda tick: tick in (2, 3))
    assert thinker.told == pytest.approx([1.0, 1.0, 3.0, 1.0])
    assert [time // MS for time, _ in plant.written] == [0, 10, 40, 50, 50]
    assert (found.tally.missing, found.tally.acted, found.tally.misses) == (2, 4, 0)


def test_a_late_reading_counts_from_when_it_was_sensed() -> None:
    clock = VirtualClock()
    plant, thinker = Bench(clock), Thinker(clock)
    stamps = iter([0, 10 * MS, 11 * MS, 30 * MS])
    plant.read = lambda: Reading(plant.obs, next(stamps))  # type: ignore[method-assign]
    Loop(thinker, plant, DriveSettings(rate=100.0, steps=4), clock=clock).run()
    assert thinker.told == pytest.approx([1.0, 1.0, 0.1, 1.9])


def test_the_watchdog_ends_a_drive_that_misses_deadlines_in_a_row() -> None:
    found, plant, _ = driven(steps=1000, takes_ns=lambda step: 15 * MS if step >= 10 else 0, misses=5)
    assert found.ended.startswith("6 deadlines in a row were missed; lower the rate")  # two late, one skipped, again
    assert not found.is_sound
    assert (found.tally.trips, plant.written[-1][1]) == (1, 0.0)
    assert found.tally.ticks < 20


def test_a_plant_that_returns_no_reading_is_told_what_to_return() -> None:
    clock = VirtualClock()
    plant = Bench(clock)
    plant.read = lambda: [0.0, 1.0]  # type: ignore[assignment,method-assign,return-value]
    found = Loop(Thinker(clock), plant, DriveSettings(rate=100.0, steps=4), clock=clock).run()
    assert found.ended == (
        "plant: expected read() to return a velora.drive.Reading or None, got a list; "
        "return Reading(obs, time.monotonic_ns())"
    )
    assert len(plant.written) == 1  # the safe action


def test_misses_that_are_not_in_a_row_trip_nothing() -> None:
    found, _, _ = driven(steps=100, takes_ns=lambda step: 12 * MS if step % 2 else 0, misses=2)
    assert (found.ended, found.tally.late, found.tally.trips) == ("finished", 50, 0)


def test_the_watchdog_ends_a_drive_whose_plant_is_silent() -> None:
    found, plant, thinker = driven(steps=1000, silent=lambda tick: tick >= 10, silent_s=0.25)
    assert "no reading for 0.25 s" in found.ended
    assert (len(thinker.told), found.tally.ticks) == (10, 36)  # heard at 90 ms; at 350 ms it is more than 250
    assert plant.written[-1] == (350 * MS, 0.0)


def test_with_recover_it_goes_on_from_a_state_of_zeros() -> None:
    found, plant, thinker = driven(steps=100, silent=lambda tick: 10 <= tick < 50, silent_s=0.25, recover=True)
    assert (found.ended, found.tally.trips, thinker.n_begun) == ("finished", 1, 3)
    assert thinker.told[10] == 1.0
    safe = [time // MS for time, action in plant.written if action == 0.0]
    assert safe == [*range(350, 500, 10), 990]  # again and again, as watchdogs of hardware want it; and at the end


def test_the_end_is_safe_whatever_ends_it() -> None:
    stop = threading.Event()
    clock = VirtualClock()

    def stop_at_three(tick: int) -> bool:
        if tick == 3:
            stop.set()
        return False

    plant, thinker = Bench(clock, silent=stop_at_three), Thinker(clock)
    found = Loop(thinker, plant, DriveSettings(rate=10.0), clock=clock, stop=stop, safe=[0.5]).run()
    assert (found.ended, found.is_sound, found.tally.ticks) == ("stopped", True, 4)
    assert plant.written[-1][1] == 0.5

    def fail(step: int) -> int:
        raise ZeroDivisionError

    plant, thinker = Bench(clock), Thinker(clock, fail)
    with pytest.raises(ZeroDivisionError):
        Loop(thinker, plant, DriveSettings(rate=10.0), clock=clock).run()
    assert plant.written == [(clock.now(), 0.0)]


class Broken(Bench):
    def read(self) -> Reading | None:
        if self.n_read == 3:
            raise PlantError("plant: its cable was pulled")
        return super().read()


def test_a_plant_that_fails_ends_the_drive_with_its_reason() -> None:
    clock = VirtualClock()
    found = Loop(Thinker(clock), Broken(clock), DriveSettings(rate=100.0, steps=9), clock=clock).run()
    assert (found.ended, found.tally.acted, found.tally.trips) == ("plant: its cable was pulled", 3, 1)


@pytest.mark.parametrize(
    ("obs", "complaint"),
    [
        ([0.0], "expected readings of 2 numbers, as the policy takes, got (1,)"),
        ([0.0, float("nan")], "expected finite numbers in a reading"),
    ],
)
def test_a_first_reading_that_does_not_fit_ends_it(obs: list[float], complaint: str) -> None:
    clock = VirtualClock()
    plant = Bench(clock)
    plant.obs = np.array(obs, np.float32)
    found = Loop(Thinker(clock), plant, DriveSettings(rate=100.0, steps=9), clock=clock).run()
    assert complaint in found.ended
    assert found.tally.acted == 0


def test_a_policy_that_meets_what_is_not_finite_ends_it() -> None:
    clock = VirtualClock()

    def diverge(step: int) -> int:
        raise NonFiniteError("plant: gave the observation [nan]")

    found = Loop(Thinker(clock, diverge), Bench(clock), DriveSettings(rate=100.0, steps=9), clock=clock).run()
    assert found.ended == "plant: gave the observation [nan]"


@pytest.mark.parametrize("safe", [[3.0], [0.0, 0.0], "left", [float("nan")]])
def test_a_safe_action_has_to_fit(safe: Any) -> None:
    clock = VirtualClock()
    with pytest.raises(PlantError, match=r"^safe: expected"):
        Loop(Thinker(clock), Bench(clock), DriveSettings(rate=100.0), clock=clock, safe=safe)


def test_a_thread_writes_the_safe_action_where_the_loop_is_stuck() -> None:
    clock = VirtualClock()
    plant = Bench(clock)
    wrote = threading.Event()
    plant.write = lambda action: wrote.set()  # type: ignore[method-assign]
    watch = StuckLoop(plant, np.zeros(1, np.float32), DriveSettings(rate=1000.0, silent_s=0.02))
    watch.start()
    assert wrote.wait(10.0)
    watch.stop()
    assert watch.is_stuck


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"rate": 0.0}, "rate: expected from 0.001 to 100000 ticks a second, got 0"),
        ({"rate": float("nan")}, "rate: expected"),
        ({"rate": 100.0, "step_s": -1.0}, "step_s: expected"),
        ({"rate": 100.0, "steps": 0}, "steps: expected at least 1, got 0"),
        ({"rate": 100.0, "misses": 0}, "misses: expected at least 1"),
        ({"rate": 100.0, "deadline": 1.5}, "deadline: expected from 0.01 to 1 of a period"),
        ({"rate": 1.0}, "silent_s: 0.5 s are less than two periods at rate=1"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SettingError) as caught:
        DriveSettings(**settings)
    assert str(caught.value).startswith(complaint)


def test_what_comes_after_an_episodes_end_begins_one_whatever_the_plant_says() -> None:
    clock = VirtualClock()

    class Forgetful(Bench):
        def read(self) -> Reading | None:
            reading = super().read()
            assert reading is not None
            return reading._replace(begins=False, truncated=self.n_read % 3 == 0)

    thinker = Thinker(clock)
    found = Loop(thinker, Forgetful(clock), DriveSettings(rate=100.0, steps=7, step_s=0.02), clock=clock).run()
    assert thinker.told == [1.0, 0.5, 0.5, 1.0, 0.5, 0.5, 1.0]
    assert found.tally.episodes == [3.0, 3.0]


def test_the_safe_action_of_choices_is_the_number_of_one() -> None:
    sizes = Sizes(2, 1, (0.0,), (2.0,), is_discrete=True)
    assert sizes.safe([2]).tolist() == [2.0]
    with pytest.raises(PlantError, match=r"^safe: expected 1 whole number from \[0\.0\] to \[2\.0\], got 0\.5"):
        sizes.safe(0.5)


def test_a_reading_that_lost_a_number_ends_the_drive_in_a_line() -> None:
    clock = VirtualClock()
    plant = Bench(clock)

    def shrink() -> int:
        plant.obs = np.zeros(2 if plant.n_read < 3 else 1, np.float32)
        return 0

    clock = plant.clock = VirtualClock(shrink)
    found = Loop(Thinker(clock), plant, DriveSettings(rate=100.0, steps=9), clock=clock).run()
    assert found.ended.startswith("plant: expected readings of 2 numbers, as the policy takes, got (1,)")
    assert plant.written[-1][1] == 0.0
