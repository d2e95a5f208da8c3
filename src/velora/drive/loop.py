"""The loop on the clock: read, act, write, at every tick of a schedule that doesn't drift."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.core.errors import NonFiniteError, PlantError
from velora.drive.clock import LoopClock, SystemClock
from velora.drive.controller import Controller
from velora.drive.plant import Plant, Reading
from velora.drive.recorder import LATE, MISSING, SAFE, Recorder
from velora.drive.settings import DriveSettings
from velora.drive.tally import Tally
from velora.drive.watchdog import StuckLoop, Watchdog
from velora.envs.clock import LONGEST, SHORTEST

FINISHED, STOPPED = "finished", "stopped"


@dataclass(frozen=True, slots=True)
class Driven:
    """How a drive went.

    Attributes:
        tally: what was counted.
        ended: ``"finished"``, ``"stopped"``, or why the watchdog or the plant ended it.
        seconds: how long it took.
    """

    tally: Tally
    ended: str
    seconds: float

    @property
    def is_sound(self) -> bool:
        """Return whether it ended as it was meant to."""
        return self.ended in (FINISHED, STOPPED)


class Loop:
    """Drive a plant by a policy.

    Tick k is due at ``start + k * period``, whatever the ticks before it took. Its action has to be written within
    ``deadline`` of the period. A tick whose deadline has passed before it can begin is skipped. Late or missing
    readings change one thing: the dt that the policy is told with the next one. Meanwhile the action before holds.

    Args:
        controller: what turns readings into actions.
        plant: what is driven; the loop doesn't close it.
        safe: action (A,) that the watchdog writes, and the loop at its end; ``None`` is 0 within the bounds.
        recorder: where every tick is written to.
        clock: what the loop goes by.
        stop: ends the loop after the tick in which it is set.

    Raises:
        PlantError: if the safe action doesn't fit.
    """

    def __init__(
        self,
        controller: Controller,
        plant: Plant,
        settings: DriveSettings,
        *,
        safe: Any = None,
        recorder: Recorder | None = None,
        clock: LoopClock | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.controller, self.plant, self.settings, self.recorder = controller, plant, settings, recorder
        self.clock: LoopClock = SystemClock() if clock is None else clock
        self.stop = threading.Event() if stop is None else stop
        self._safe = _in_kind(controller.sizes.safe(safe), controller)
        self.tally = Tally()
        self._seen_ns: int | None = None
        self._return = 0.0
        self._is_safe = self._is_checked = self._has_ended = False

    def run(self) -> Driven:
        """Drive, write the safe action at the end, and return how it went.

        A plant that fails ends the drive, and the result says so. Any other error is raised, the safe action written.
        """
        begun, ended = self.clock.now(), STOPPED
        stuck = StuckLoop(self.plant, self._safe, self.settings) if isinstance(self.clock, SystemClock) else None
        if stuck is not None:
            stuck.start()
        try:
            ended = self._drive(begun, stuck)
        except (PlantError, NonFiniteError) as error:
            self.tally.trips += 1
            ended = str(error)
        finally:
            if stuck is not None:
                stuck.stop()
            ended = self._end(ended)
        return Driven(self.tally, ended, (self.clock.now() - begun) / 1e9)

    def _drive(self, start: int, stuck: StuckLoop | None) -> str:
        settings, clock, tally = self.settings, self.clock, self.tally
        period, deadline = settings.period_ns, int(settings.deadline * settings.period_ns)
        watchdog, tick, before = Watchdog(settings, start), 0, start - period
        self.controller.begin()
        while settings.steps is None or tick < settings.steps:
            due = start + tick * period
            clock.wait_until(due)
            began = clock.now()
            tally.lateness.add(began - due)
            tally.interval.add(abs(began - before - period))
            before = began
            if stuck is not None:
                stuck.beat = began
                if stuck.is_stuck:
                    tally.trips += 1
                    return stuck.problem
            done = self._tick(tick, due, began, deadline, watchdog)
            tick += 1
            skipped = max(0, (done - deadline - start) // period + 1 - tick)
            if settings.steps is not None:
                skipped = min(skipped, settings.steps - tick)
            tick += skipped
            tally.skipped += skipped
            tally.ticks = tick
            watchdog.count((done > due + deadline) + skipped)
            if watchdog.reason and not self._is_safe:
                self._trip()
                if not settings.recover:
                    return watchdog.reason
            if self.stop.is_set():
                return STOPPED
        return FINISHED

    def _tick(self, tick: int, due: int, began: int, deadline: int, watchdog: Watchdog) -> int:
        """Read, act, write; return when that was done."""
        reading, action, dt, flags = self._read(), None, 0.0, 0
        if reading is None:
            self.tally.missing += 1
            flags |= MISSING
            watchdog.look(began)
        else:
            watchdog.hear(began)
            if self._is_safe and watchdog.is_well:
                self._is_safe, self._seen_ns = False, None
                watchdog.restart(began)
            if not self._is_safe:
                dt = self._dt(reading)
                action = self.controller.act(reading, dt)
        if self._is_safe:
            action, flags = self._safe, flags | SAFE
        if action is not None:
            self.plant.write(action)
        done = self.clock.now()
        self.tally.work.add(done - began)
        if done > due + deadline:
            self.tally.late += 1
            flags |= LATE
        if reading is not None and not self._is_safe:
            self.tally.told(dt)
            self._earn(reading)
        if self.recorder is not None:
            self.recorder.add(tick, due, began, done, dt, flags, reading, action)
        return done

    def _read(self) -> Reading | None:
        """Read; what comes after an episode's end begins one, also where the plant doesn't say so."""
        reading = self.plant.read()
        if reading is None:
            return None
        if type(reading) is not Reading:
            self.controller.sizes.check(reading)
        if self._has_ended and not reading.begins:
            reading = reading._replace(begins=True)
        self._has_ended = reading.terminated or reading.truncated
        return reading

    def _dt(self, reading: Reading) -> float:
        """Return the time since the reading before in control steps; 1 where there is none."""
        if not self._is_checked or np.shape(reading.obs) != (self.controller.sizes.n_observations,):
            self.controller.sizes.check(reading)
            self._is_checked = True
        before, self._seen_ns = self._seen_ns, reading.time_ns
        if before is None or reading.begins:
            self.controller.begin()
            return 1.0
        return min(max((reading.time_ns - before) / self.settings.step_ns, SHORTEST), LONGEST)

    def _earn(self, reading: Reading) -> None:
        self._return = reading.reward if reading.begins else self._return + reading.reward
        if reading.terminated or reading.truncated:
            self.tally.episodes.append(self._return)

    def _trip(self) -> None:
        self.tally.trips += 1
        self._is_safe = True
        self.plant.write(self._safe)

    def _end(self, ended: str) -> str:
        """Write the safe action a last time; a plant that fails then is named, if nothing else was."""
        try:
            self.plant.write(self._safe)
        except PlantError as error:
            return str(error) if ended in (FINISHED, STOPPED) else ended
        return ended


def _in_kind(action: NDArray[np.float32], controller: Controller) -> NDArray[Any]:
    return action.astype(np.int64) if controller.sizes.is_discrete else action
