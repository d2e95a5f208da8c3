"""The thread that a network logger works in: in order, never in the way, patient with a server, and bounded."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from velora.training.loggers import background
from velora.training.loggers.background import Background
from velora.training.loggers.facts import Row


class Server:
    """What a thread sends to, and what it tells; ``down`` makes it fail."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.told: list[str] = []
        self.down: Exception | None = None
        self.attempts = 0
        self.free = threading.Event()
        self.free.set()
        self.thread = Background(
            rows=self.take, may_pass=lambda error: isinstance(error, OSError), tell=self.tell, fail=self.fail
        )

    def take(self, rows: Sequence[Row]) -> None:
        self.attempts += 1
        self.free.wait(10)
        if self.down is not None:
            raise self.down
        self.got += [row.step for row in rows]

    def tell(self, error: Exception | None) -> None:
        self.told.append("again" if error is None else str(error))

    def fail(self, error: Exception) -> None:
        self.told.append(f"failed: {error}")

    def close(self, limit_s: float = 5.0) -> None:
        self.thread.close(time.monotonic(), lambda: limit_s)


def row(step: int) -> Row:
    return Row({"x": float(step)}, step, 0.0)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(background, "_FIRST_PAUSE_S", 0.02)
    return Server()


def test_everything_is_done_in_order_before_the_end(server: Server) -> None:
    for step in range(500):
        server.thread.add(row(step))
    server.thread.add(lambda: server.got.append("act"))
    server.thread.add(row(500))
    server.close()
    assert server.got == [*range(500), "act", 500]
    assert server.thread.lost == 0


def test_whoever_hands_something_over_does_not_wait(server: Server) -> None:
    server.free.clear()
    begun = time.monotonic()
    for step in range(1000):
        server.thread.add(row(step))
    assert time.monotonic() - begun < 1
    assert server.got == []
    server.free.set()
    server.close()
    assert server.got == [*range(1000)]


def test_what_a_server_does_not_take_is_tried_again_and_told_once(server: Server) -> None:
    server.down = ConnectionError("refused")
    server.thread.add(row(1))
    server.thread.add(row(2))
    while server.attempts < 3:
        time.sleep(0.01)
    assert server.thread.is_failing
    server.down = None
    server.close()
    assert server.got == [1, 2]
    assert server.told == ["refused", "again"]
    assert server.thread.lost == 0


def test_another_failure_is_final(server: Server) -> None:
    server.down = ValueError("no such metric")
    server.thread.add(row(1))
    while not server.told:
        time.sleep(0.01)
    server.down = None
    server.thread.add(row(2))
    server.close()
    assert (server.got, server.told, server.attempts) == ([], ["failed: no such metric"], 1)
    assert server.thread.lost == 2


def test_a_dead_server_costs_the_limit_at_the_end_and_its_rows_are_counted(server: Server) -> None:
    server.down = ConnectionError("refused")
    for step in range(7):
        server.thread.add(row(step))
    begun = time.monotonic()
    server.close(limit_s=0.3)
    assert 0.25 < time.monotonic() - begun < 2
    assert server.thread.lost == 7


def test_a_server_that_hangs_costs_no_more(server: Server) -> None:
    server.free.clear()
    server.thread.add(row(1))
    begun = time.monotonic()
    server.close(limit_s=0.3)
    assert time.monotonic() - begun < 2
    assert server.thread.lost == 1
    server.free.set()


def test_the_oldest_rows_go_when_too_many_wait(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "MOST_ROWS", 3)
    server.free.clear()
    server.thread.add(row(0))
    while not server.attempts:  # the first is on its way
        time.sleep(0.01)
    server.thread.add(lambda: server.got.append("act"))
    for step in range(1, 6):
        server.thread.add(row(step))
    server.free.set()
    server.close()
    assert server.got == [0, "act", 3, 4, 5]
    assert server.thread.lost == 2


def test_a_call_returns_what_it_returns_or_raises(server: Server) -> None:
    assert server.thread.call(lambda: 3, limit_s=5) == 3

    def fail() -> None:
        raise KeyError("no key")

    with pytest.raises(KeyError, match="no key"):
        server.thread.call(fail, limit_s=5)


def test_a_call_that_takes_too_long_is_given_up(server: Server) -> None:
    with pytest.raises(TimeoutError, match=r"no answer within 0\.1 s"):
        server.thread.call(lambda: time.sleep(0.5), limit_s=0.1)
