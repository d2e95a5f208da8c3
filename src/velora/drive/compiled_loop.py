"""The loop in C over a policy in C, in a thread without Python's lock; and what carries a plant in Python to it."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.core.errors import PlantError, SettingError
from velora.drive.clock import SECOND, SPIN_US, SystemClock
from velora.drive.compiled import CompiledPolicy
from velora.drive.loop import FINISHED, STOPPED, Driven
from velora.drive.plant import Plant, Reading
from velora.drive.recorder import Recorder
from velora.drive.settings import DriveSettings
from velora.drive.tally import N_BUCKETS, Durations, Tally
from velora.drive.watchdog import StuckLoop

_FINISHED, _STOPPED, _MISSED, _SILENT, _FAILED, _NOT_FINITE = range(6)
_BEGINS, _TERMINATED, _TRUNCATED = 1, 2, 4
_FLOATS = ctypes.POINTER(ctypes.c_float)


class _Durations(ctypes.Structure):
    _fields_ = (("counts", ctypes.c_int64 * N_BUCKETS), ("total_ns", ctypes.c_int64), ("most_ns", ctypes.c_int64))

    def read(self) -> Durations:
        return Durations.of(np.array(self.counts, np.int64), self.total_ns, self.most_ns)


class _Drive(ctypes.Structure):
    """``drive`` of ``native/loop.h``."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("period_ns", "deadline_ns", "spin_ns", "silent_ns", "n_ticks", "misses")),
        ("step_ns", ctypes.c_double),
        ("recovers", ctypes.c_int64),
        ("journal", ctypes.c_int64),
        ("safe", _FLOATS),
        ("stop", ctypes.c_int64),
        *(
            (name, ctypes.c_int64)
            for name in (
                "ended", "start_ns", "end_ns", "heard_ns", "ticks", "acted", "late", "skipped", "missing", "trips",
                "episodes",
            )
        ),
        *((name, ctypes.c_double) for name in ("dt_sum", "dt_least", "dt_most", "earned", "earned_in_all")),
        ("lateness", _Durations),
        ("work", _Durations),
        ("interval", _Durations),
    )  # fmt: skip


class CompiledLoop:
    """Drive by the loop in C.

    A plant in C is read and written by the loop itself. One in Python lives in the calling thread, which carries
    readings to a mailbox and actions from it, ``rate`` times a second; the loop never waits for it, and a tick that
    finds nothing new is a missing reading.

    Args:
        policy: compiled with the plant.
        plant: in Python; ``None`` for the one that the policy was compiled with.
        safe: action (A,) that the watchdog writes, and the loop at its end.
        recorder: where every tick is written to, by C.
        stop: ends the loop after the tick in which it is set.
        prepare: called in the loop's thread before it begins, such as to raise its priority.

    Raises:
        SettingError: if ctypes and the compiler disagree about the loop's numbers.
        PlantError: if the safe action doesn't fit.
    """

    def __init__(
        self,
        policy: CompiledPolicy,
        plant: Plant | None,
        settings: DriveSettings,
        *,
        safe: Any = None,
        recorder: Recorder | None = None,
        stop: threading.Event | None = None,
        prepare: Callable[[], object] = lambda: None,
        spin_us: float = SPIN_US,
    ) -> None:
        self.policy, self.plant, self.settings = policy, plant, settings
        self.stop = threading.Event() if stop is None else stop
        self._prepare, self._problem = prepare, ""
        self._fault: Exception | None = None
        self._safe = np.ascontiguousarray(policy.sizes.safe(safe), np.float32)
        library = policy.library
        if library.drive_size() != ctypes.sizeof(_Drive):
            raise SettingError("loop: the C compiler lays out drive otherwise than ctypes; choose loop=python")
        library.drive_run.argtypes, library.drive_run.restype = (ctypes.POINTER(_Drive),), None
        self._drive = _Drive(
            period_ns=settings.period_ns,
            deadline_ns=int(settings.deadline * settings.period_ns),
            spin_ns=int(spin_us * 1_000),
            silent_ns=int(settings.silent_s * SECOND),
            n_ticks=2**62 if settings.steps is None else settings.steps,
            misses=settings.misses,
            step_ns=settings.step_ns,
            recovers=settings.recover,
            journal=-1 if recorder is None else recorder.descriptor,
            safe=self._safe.ctypes.data_as(_FLOATS),
        )

    def run(self) -> Driven:
        """See :meth:`velora.drive.loop.Loop.run`; what ``prepare`` raises is raised here, and nothing was driven."""
        library = self.policy.library
        if library.plant_open():
            raise PlantError("plant: plant_open() says that it isn't there")
        thread = threading.Thread(target=self._run, name="velora-loop")
        thread.start()
        try:
            self._serve(thread)
        finally:
            self._drive.stop = 1
            thread.join()
            library.plant_close()
            self._take()
        if self._fault is not None:
            raise self._fault
        drive = self._drive
        return Driven(self._tally(), self._ended(), (drive.end_ns - drive.start_ns) / SECOND)

    def _run(self) -> None:
        try:
            self._prepare()
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits for this one
            self._fault = error
            return
        self.policy.library.drive_run(ctypes.byref(self._drive))

    def _serve(self, thread: threading.Thread) -> None:
        """Carry between the plant and the mailbox until the loop has ended."""
        if self.plant is None:
            while thread.is_alive() and not self.stop.wait(0.05):
                pass
            return
        stuck = StuckLoop(self.plant, self._safe, self.settings)
        stuck.start()
        try:
            self._carry(self.plant, thread, stuck)
        finally:
            stuck.stop()

    def _carry(self, plant: Plant, thread: threading.Thread, stuck: StuckLoop) -> None:
        clock, period = SystemClock(spin_us=0), self.settings.period_ns
        library, at = self.policy.library, clock.now()
        library.mailbox_put.argtypes = (ctypes.c_int64, ctypes.c_float, ctypes.c_uint32, _FLOATS)
        is_first, shape = True, (self.policy.sizes.n_observations,)
        while thread.is_alive() and not self.stop.is_set():
            stuck.beat = clock.now()
            try:
                self._take()
                reading = plant.read()
                if reading is not None and (is_first or type(reading) is not Reading or np.shape(reading.obs) != shape):
                    self.policy.sizes.check(reading)
                    is_first = False
                if stuck.is_stuck:
                    raise PlantError(stuck.problem)
            except PlantError as error:
                self._problem = str(error)
                library.mailbox_fail()
                thread.join()
                return
            if reading is not None:
                flags = reading.begins * _BEGINS + reading.terminated * _TERMINATED + reading.truncated * _TRUNCATED
                obs = np.ascontiguousarray(reading.obs, np.float32)
                numbers = int(reading.time_ns), float(reading.reward), int(flags)  # ctypes takes none of NumPy's
                library.mailbox_put(*numbers, obs.ctypes.data_as(_FLOATS))
            at = max(at + period, clock.now() - period)
            clock.wait_until(at)

    def _take(self) -> None:
        """Write the newest action of the mailbox to the plant."""
        if self.plant is None or self._problem:
            return
        action = np.zeros(self.policy.sizes.n_actions, np.float32)
        if self.policy.library.mailbox_take(action.ctypes.data_as(_FLOATS)):
            self.plant.write(_in_kind(action, is_discrete=self.policy.sizes.is_discrete))

    def _ended(self) -> str:
        settings = self.settings
        return {
            _FINISHED: FINISHED,
            _STOPPED: STOPPED,
            _MISSED: f"{settings.misses} deadlines in a row were missed; lower the rate",
            _SILENT: f"the plant gave no reading for {settings.silent_s:g} s; look at its power and its connection",
            _FAILED: self._problem or "the plant has failed, or the disk of the recording is full",
            _NOT_FINITE: "the plant gave an observation that isn't finite",
        }[self._drive.ended]

    def _tally(self) -> Tally:
        drive, tally = self._drive, Tally()
        for name in ("ticks", "acted", "late", "skipped", "missing", "trips"):
            setattr(tally, name, getattr(drive, name))
        tally.lateness, tally.work = drive.lateness.read(), drive.work.read()
        tally.interval = drive.interval.read()
        tally.dt_sum, tally.dt_least, tally.dt_most = drive.dt_sum, drive.dt_least, drive.dt_most
        if drive.episodes:
            tally.episodes = [drive.earned_in_all / drive.episodes] * drive.episodes
        return tally


def _in_kind(action: NDArray[np.float32], *, is_discrete: bool) -> NDArray[Any]:
    return action.astype(np.int64) if is_discrete else action
