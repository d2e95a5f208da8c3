"""A plant behind a real socket: the reference server on one side, the loop on the other."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from velora.core.errors import PlantError
from velora.drive import DriveSettings, Loop, PlantServer, Reading, Sizes, SocketPlant


class Rig:
    """A plant with a reading every 2 ms, of which the second number is the action that was written last."""

    def __init__(self) -> None:
        self.begun, self.last, self.action, self.is_closed = time.monotonic_ns(), -1, 0.0, False

    def read(self) -> Reading | None:
        number = (time.monotonic_ns() - self.begun) // 2_000_000
        if number == self.last:
            return None
        begins, self.last = self.last < 0, number
        return Reading(np.array([number, self.action], np.float32), number * 2_000_000, begins, 0.5)

    def write(self, action: NDArray[Any]) -> None:
        self.action = float(action[0])

    def close(self) -> None:
        self.is_closed = True


class Echo:
    """A controller that answers with the dt that it was told."""

    sizes, name = Sizes(2, 1, (-9.0,), (9.0,)), "echo"

    def __init__(self) -> None:
        self.seen: list[tuple[float, float, float]] = []

    def begin(self) -> None:
        pass

    def act(self, reading: Reading, dt: float) -> NDArray[Any]:
        self.seen.append((reading.obs[0], reading.obs[1], dt))
        return np.array([min(dt, 9.0)], np.float32)

    def rehearse(self) -> None:
        pass

    def close(self) -> None:
        pass


@contextlib.contextmanager
def served() -> Iterator[tuple[PlantServer, Rig]]:
    rig = Rig()
    server = PlantServer(rig, n_observations=2, n_actions=1, step_s=0.002)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server, rig
    finally:
        server.close()
        thread.join()


@contextlib.contextmanager
def saying(*lines: bytes) -> Iterator[int]:
    """Listen, and say something to whoever connects; give the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def talk() -> None:
            connection, _ = listening.accept()
            with connection:
                for line in lines:
                    connection.sendall(line)
                    time.sleep(0.05)

        thread = threading.Thread(target=talk)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


def test_a_loop_drives_through_a_socket_and_the_next_one_after_it() -> None:
    with served() as (server, rig):
        for _ in range(2):
            plant, echo = SocketPlant("127.0.0.1", server.port), Echo()
            assert (plant.n_observations, plant.n_actions, plant.step_s) == (2, 1, 0.002)
            settings = DriveSettings(rate=100.0, steps=40, step_s=plant.step_s, misses=1000, silent_s=5.0)
            found = Loop(echo, plant, settings).run()
            plant.close()
            assert found.ended == "finished"
            assert len(echo.seen) > 10
            numbers = [number for number, *_ in echo.seen]
            assert numbers == sorted(numbers)
            assert [dt for *_, dt in echo.seen[1:]] == pytest.approx(np.diff(numbers).tolist())
            assert any(
                action == min(dt, 9.0) for (*_, dt), (_, action, _) in zip(echo.seen, echo.seen[1:], strict=False)
            )
            until = time.monotonic() + 10.0
            while rig.action != 0.0 and time.monotonic() < until:  # the safe action comes last
                time.sleep(0.01)
            assert rig.action == 0.0
    assert rig.is_closed


def test_a_plant_that_stops_answering_trips_the_watchdog_and_goes_on_with_recover() -> None:
    with served() as (server, _):
        plant = SocketPlant("127.0.0.1", server.port)
        threading.Timer(0.3, server.is_paused.set).start()
        settings = DriveSettings(rate=100.0, steps=10_000, misses=10_000, silent_s=0.3)
        found = Loop(Echo(), plant, settings).run()
        assert found.ended.startswith("the plant gave no reading for 0.3 s")
        assert 0.3 < found.seconds < 10.0
        plant.close()


def test_a_plant_that_goes_away_ends_the_drive() -> None:
    with saying(b"velora-plant 1 2 1 0\n", b"r 1 1 0 0.5 0.5\n") as port:
        plant = SocketPlant("127.0.0.1", port)
        found = Loop(Echo(), plant, DriveSettings(rate=100.0, steps=1000, silent_s=5.0, misses=10_000)).run()
        assert f"plant: tcp://127.0.0.1:{port} has" in found.ended
        assert found.tally.acted == 1
        plant.close()


def test_the_newest_reading_counts_and_rewards_add_up() -> None:
    lines = b"".join(b"r %d 0 %d %d 0\n" % (k, k, k) for k in range(5)) + b"r 5 2 1 5 0\nr 6 1 0 6 0\nr 7 0 1 7"
    with saying(b"velora-plant 1 2 1 0.05\n" + lines) as port:
        plant = SocketPlant("127.0.0.1", port)
        ended, begun = plant.read(), plant.read()
        assert ended is not None
        assert begun is not None
        assert (ended.time_ns, ended.reward, ended.terminated) == (5, 11.0, True)
        assert (begun.time_ns, begun.reward, begun.begins) == (6, 0.0, True)
        with contextlib.suppress(PlantError):
            assert plant.read() is None  # half a line
        plant.close()


@pytest.mark.parametrize(
    ("greeting", "complaint"),
    [
        (b"HTTP/1.1 400 Bad Request\n", "greets with"),
        (b"velora-plant 2 2 1 0\n", "greets with"),
        (b"velora-plant 1 0 1 0\n", "greets with"),
        (b"velora-plant 1 two 1 0\n", "greets with"),
        (b"", "greets with b''"),
    ],
)
def test_something_else_than_a_plant_is_refused(greeting: bytes, complaint: str) -> None:
    with saying(greeting) as port, pytest.raises(PlantError, match=complaint):
        SocketPlant("127.0.0.1", port)


@pytest.mark.parametrize(
    "line", [b"r 1 0 0 1\n", b"r 1 0 0 1 nan\n", b"r x 0 0 1 2\n", b"hello\n", b"r 1 9 0 1 2\n", b"r 1 0 inf 1 2\n"]
)
def test_a_line_that_is_no_reading_is_an_error(line: bytes) -> None:
    with saying(b"velora-plant 1 2 1 0\n" + line) as port:
        plant = SocketPlant("127.0.0.1", port)
        with pytest.raises(PlantError, match="expected 'r time_ns flags reward' and 2 finite numbers"):
            plant.read()
        plant.close()


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(PlantError, match=rf"nobody answers at tcp://127.0.0.1:{port} .*; start the plant first"):
        SocketPlant("127.0.0.1", port)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(PlantError, match=r"says nothing in 0\.1 s"):
        SocketPlant("127.0.0.1", silent.getsockname()[1], timeout_s=0.1)


def test_an_episode_that_begins_among_readings_that_are_dropped_begins() -> None:
    """Between two ticks: the end of an episode, and two readings of the next; then one that begins without an end."""
    lines = b"r 1 0 1 .1 0\nr 2 2 1 .2 0\nr 3 1 0 .3 0\nr 4 0 5 .4 0\nr 5 1 0 .5 0\nr 6 0 2 .6 0\n"
    with saying(b"velora-plant 1 2 1 0.002\n", lines) as port:
        plant, found = SocketPlant("127.0.0.1", port), list[Reading]()
        until = time.monotonic() + 10.0
        while len(found) < 3 and time.monotonic() < until:
            reading = plant.read()
            found += [] if reading is None else [reading]
        plant.close()
    assert [(one.time_ns, one.begins, one.reward, one.terminated) for one in found] == [
        (2, False, 2.0, True), (4, True, 5.0, False), (6, True, 2.0, False),
    ]  # fmt: skip
