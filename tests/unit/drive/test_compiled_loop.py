"""The loop in C over a policy in C: a plant in C, and one in Python through the mailbox."""

from __future__ import annotations

import ctypes
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.drive.test_controller import adapted
from velora.core.errors import PlantError, SettingError
from velora.drive import (
    AgentController,
    CompiledLoop,
    CompiledPolicy,
    DriveSettings,
    Reading,
    Recorder,
    SimulatedPlant,
    read_recording,
)
from velora.drive.controller import sizes_of
from velora.drive.recorder import BEGINS, MISSING, SAFE
from velora.export.c.target import write_c
from velora.export.describe import describe
from velora.models import Agent, LiquidDDPG

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler: apt-get install gcc")

COUNTING = """
#include "plant.h"
static int n;
static float last;
int plant_open(void) { return n = 0; }
int plant_read(float obs[POLICY_OBSERVATIONS], int64_t *time_ns, float *reward, uint32_t *flags) {
    n++;
    if (n == 4 || n == 5) return 0;
    if (n > %d) return %d;
    obs[0] = (float)n * 0.1f, obs[1] = -obs[0], obs[2] = last;
    *time_ns = n * 50000000LL, *reward = 1.0f;
    *flags = n %% 10 == 1 ? PLANT_BEGINS : n %% 10 == 0 ? PLANT_TRUNCATED : 0;
    return 1;
}
int plant_write(const policy_action action[POLICY_ACTIONS]) { last = action[0]; return 0; }
void plant_close(void) {}
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Agent, Path]:
    agent, out = adapted(LiquidDDPG(3, 12, 1, seed=1), "Pendulum-v1"), tmp_path_factory.mktemp("policy")
    write_c(describe(agent), out)
    return agent, out


def compiled(exported: tuple[Agent, Path], tmp_path: Path, n: int, then: int) -> CompiledPolicy:
    """Compile the policy with a plant that has ``n`` readings, and then 0 for silence or -1 for a failure."""
    plant = tmp_path / "counting.c"
    plant.write_text(COUNTING % (n, then))
    return CompiledPolicy(exported[1], sizes_of(exported[0]), plant=plant)


def test_a_plant_in_c_without_its_functions(exported: tuple[Agent, Path], tmp_path: Path) -> None:
    plant = tmp_path / "empty.c"
    plant.write_text("int x;\n")
    with pytest.raises(SettingError, match=r"empty\.c can't be loaded \(undefined symbol: plant_\w+\); a plant has"):
        CompiledPolicy(exported[1], sizes_of(exported[0]), plant=plant)


def test_a_plant_in_c_is_driven_and_recorded_as_by_the_agent(exported: tuple[Agent, Path], tmp_path: Path) -> None:
    policy = compiled(exported, tmp_path, 40, 0)
    recorder = Recorder(tmp_path / "drive.npy", n_observations=3, n_actions=1)
    settings = DriveSettings(rate=500.0, steps=30, step_s=0.05, misses=10_000, silent_s=5.0)
    found = CompiledLoop(policy, None, settings, recorder=recorder, safe=[-1.5]).run()
    rows, tally = read_recording(recorder.close()), found.tally
    began = tally.ticks - tally.skipped
    assert (found.ended, tally.ticks, tally.missing, tally.acted) == ("finished", 30, 2, began - 2)
    assert (tally.lateness.n, tally.work.n, len(rows)) == (began, began, began)
    n = len(tally.episodes)
    assert sum(tally.episodes) == pytest.approx(10.0 * n - 2.0)  # two of the first ten readings were missing
    assert [int(k) for k in np.flatnonzero(rows["flags"] & MISSING)] == [3, 4]
    assert (rows["flags"] & BEGINS).nonzero()[0].tolist() == list(range(0, began, 10))
    assert rows["dt"][:7].tolist() == [1.0, 1.0, 1.0, 0.0, 0.0, 3.0, 1.0]
    assert (rows["began_ns"] >= rows["due_ns"]).all()
    assert (np.diff(rows["due_ns"]) == np.diff(rows["tick"]) * 2_000_000).all()
    expected = AgentController(exported[0])
    for row in rows[rows["dt"] > 0]:
        if row["flags"] & BEGINS:
            expected.begin()
        action = expected.act(Reading(row["obs"], 0), float(row["dt"]))
        assert row["action"] == pytest.approx(action, abs=2e-5)
    assert (found.tally.dt_least, found.tally.dt_most) == (1.0, 3.0)


def test_a_plant_in_c_that_fails_or_falls_silent_ends_the_drive(exported: tuple[Agent, Path], tmp_path: Path) -> None:
    settings = DriveSettings(rate=500.0, steps=100_000, misses=10_000, silent_s=0.1)
    found = CompiledLoop(compiled(exported, tmp_path, 20, -1), None, settings).run()
    assert found.ended.startswith("the plant has failed")
    found = CompiledLoop(compiled(exported, tmp_path, 20, 0), None, settings).run()
    assert found.ended.startswith("the plant gave no reading for 0.1 s")
    assert (found.tally.acted, found.tally.trips) == (18, 1)


def test_a_simulated_plant_is_driven_through_the_mailbox(exported: tuple[Agent, Path], tmp_path: Path) -> None:
    import gymnasium as gym

    policy = CompiledPolicy(exported[1], sizes_of(exported[0]))
    plant = SimulatedPlant(gym.make("Pendulum-v1"), step_s=0.01, physics=10)
    recorder = Recorder(tmp_path / "drive.npy", n_observations=3, n_actions=1)
    settings = DriveSettings(rate=200.0, steps=200, step_s=0.01, misses=10_000, silent_s=10.0)
    found = CompiledLoop(policy, plant, settings, recorder=recorder).run()
    rows = read_recording(recorder.close())
    plant.close()
    assert found.ended == "finished"
    acted = rows[rows["dt"] > 0]
    assert len(acted) == found.tally.acted > 5
    assert (np.abs(np.hypot(acted["obs"][:, 0], acted["obs"][:, 1]) - 1.0) < 1e-5).all()
    assert acted["dt"][1:] == pytest.approx(np.diff(acted["sensed_ns"]) / 1e7, rel=1e-5)


class Stubborn:
    """A plant in Python with one reading, and then whatever it is told."""

    def __init__(self, then: Any) -> None:
        self.then, self.n = then, 0
        self.written: list[float] = []

    def read(self) -> Reading | None:
        self.n += 1
        if self.n == 1:
            return Reading(np.zeros(3, np.float32), 1, begins=True)
        if isinstance(self.then, Exception):
            raise self.then
        return None

    def write(self, action: NDArray[Any]) -> None:
        self.written.append(float(action[0]))

    def close(self) -> None:
        pass


def test_a_plant_in_python_that_fails_or_is_silent(exported: tuple[Agent, Path]) -> None:
    policy = CompiledPolicy(exported[1], sizes_of(exported[0]))
    settings = DriveSettings(rate=500.0, misses=10_000, silent_s=0.2)
    found = CompiledLoop(policy, Stubborn(PlantError("plant: it burns")), settings).run()
    assert found.ended == "plant: it burns"
    silent = Stubborn(None)
    found = CompiledLoop(policy, silent, settings, safe=[0.25]).run()
    assert found.ended.startswith("the plant gave no reading for 0.2 s")
    assert silent.written[-1] == 0.25


class Hanging(Stubborn):
    """A plant in Python whose second ``read`` returns only once the safe action was written."""

    def __init__(self) -> None:
        super().__init__(None)
        self.is_safe, self.came_back = threading.Event(), False

    def read(self) -> Reading | None:
        reading = super().read()
        if reading is None:
            self.came_back = self.is_safe.wait(10.0)
        return reading

    def write(self, action: NDArray[Any]) -> None:
        super().write(action)
        if self.written[-1] == 0.25:
            self.is_safe.set()


def test_a_plant_in_python_that_does_not_return_gets_the_safe_action(exported: tuple[Agent, Path]) -> None:
    policy, plant = CompiledPolicy(exported[1], sizes_of(exported[0])), Hanging()
    settings = DriveSettings(rate=500.0, misses=10_000, silent_s=0.2, recover=True)
    found = CompiledLoop(policy, plant, settings, safe=[0.25]).run()
    assert found.ended == "the loop was stuck for more than 0.2 s in one tick; read, write and act must not wait"
    assert plant.came_back


def test_it_stops_when_asked(exported: tuple[Agent, Path], tmp_path: Path) -> None:
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    began = time.monotonic()
    settings = DriveSettings(rate=500.0, misses=10_000, silent_s=20.0)
    found = CompiledLoop(compiled(exported, tmp_path, 10**6, 0), None, settings, stop=stop).run()
    assert (found.ended, found.is_sound) == ("stopped", True)
    assert 0.2 < time.monotonic() - began < 20.0


def test_with_recover_the_loop_in_c_goes_on(exported: tuple[Agent, Path], tmp_path: Path) -> None:
    """Silent for 0.1 s after 20 readings, which trips it at 0.05 s; then it answers again."""
    plant = tmp_path / "pausing.c"
    text = (COUNTING % (10**6, 0)).replace("n == 4 || n == 5", "n > 20 && n < 71")
    plant.write_text(text)
    policy = CompiledPolicy(exported[1], sizes_of(exported[0]), plant=plant)
    recorder = Recorder(tmp_path / "drive.npy", n_observations=3, n_actions=1)
    settings = DriveSettings(rate=500.0, steps=100, step_s=0.05, misses=10_000, silent_s=0.05, recover=True)
    found = CompiledLoop(policy, None, settings, recorder=recorder).run()
    rows = read_recording(recorder.close())
    assert found.ended == "finished"
    assert found.tally.trips >= 1
    safe = (rows["flags"] & SAFE).nonzero()[0]
    assert len(safe) > 1
    assert (rows["action"][safe] == 0.0).all()
    after = rows[safe[-1] + 1]
    assert after["dt"] == 1.0


def test_the_mailbox_loses_no_reward_and_no_episode(exported: tuple[Agent, Path]) -> None:
    """Several readings between two ticks are one up to the next episode; also while the loop stands still."""
    library = CompiledPolicy(exported[1], sizes_of(exported[0])).library
    library.mailbox_put.argtypes = (ctypes.c_int64, ctypes.c_float, ctypes.c_uint32, ctypes.POINTER(ctypes.c_float))
    obs, at = (ctypes.c_float * 3)(), ctypes.c_int64()
    reward, flags = ctypes.c_float(), ctypes.c_uint32()

    def read() -> tuple[int, float, float, int] | None:
        found = library.plant_read(obs, ctypes.byref(at), ctypes.byref(reward), ctypes.byref(flags))
        return (at.value, obs[2], reward.value, flags.value) if found else None

    def put(number: int, flags: int) -> None:
        library.mailbox_put(number, 1.0, flags, (ctypes.c_float * 3)(0.0, 0.0, number))

    library.plant_open()
    assert read() is None
    for number, said in enumerate([1, 0, 4, 1, 0, 0, 1, 0], start=1):
        put(number, said)
    assert [read() for _ in range(4)] == [(3, 3.0, 3.0, 5), (6, 6.0, 3.0, 1), (8, 8.0, 2.0, 1), None]
    for number in range(200):
        put(number, 0)
    assert read() == (63, 63.0, 64.0, 0)
    put(200, 1)
    assert [read(), read()] == [(200, 200.0, 137.0, 1), None]


def test_what_prepares_the_loop_in_c_may_fail(exported: tuple[Agent, Path], tmp_path: Path) -> None:
    """A priority that the system doesn't allow is told of; no drive of 0 ticks is called finished."""

    def refuse() -> None:
        raise SettingError("priority: no")

    loop = CompiledLoop(compiled(exported, tmp_path, 5, 0), None, DriveSettings(rate=100.0, steps=5), prepare=refuse)
    with pytest.raises(SettingError, match="priority: no"):
        loop.run()


def test_an_episodes_end_begins_one_in_c_too(exported: tuple[Agent, Path], tmp_path: Path) -> None:
    plant = tmp_path / "forgetful.c"
    plant.write_text((COUNTING % (25, 0)).replace("n % 10 == 1 ? PLANT_BEGINS : ", ""))
    assert "PLANT_BEGINS" not in plant.read_text()
    policy = CompiledPolicy(exported[1], sizes_of(exported[0]), plant=plant)
    recorder = Recorder(tmp_path / "drive.npy", n_observations=3, n_actions=1)
    settings = DriveSettings(rate=500.0, steps=150, step_s=0.1, misses=10_000, silent_s=10.0)
    found = CompiledLoop(policy, None, settings, recorder=recorder).run()
    rows = read_recording(recorder.close())
    assert found.tally.episodes == [9.0, 9.0]
    assert rows["obs"][rows["dt"] == 1.0, 0] == pytest.approx([0.1, 1.1, 2.1])


def test_numbers_of_numpy_and_a_reading_that_lost_one_go_through_the_mailbox(exported: tuple[Agent, Path]) -> None:
    class Plant(Stubborn):
        def read(self) -> Reading | None:
            self.n += 1
            obs = np.zeros(3 if self.n < 5 else 2, np.float32)
            return Reading(obs, np.int64(self.n), np.bool_(self.n == 1), np.float32(0.5))  # type: ignore[arg-type]

    policy = CompiledPolicy(exported[1], sizes_of(exported[0]))
    found = CompiledLoop(policy, Plant(None), DriveSettings(rate=200.0, steps=400, misses=10_000, silent_s=9.0)).run()
    assert found.ended.startswith("plant: expected readings of 3 numbers, as the policy takes, got (2,)")
