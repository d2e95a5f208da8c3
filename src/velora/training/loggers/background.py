"""Hand work over to a thread, so that training never waits for a server."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from velora.training.loggers.facts import Row

MOST_ROWS = 10_000
"""Rows that wait at most; beyond that the oldest go."""
_AT_ONCE = 200
"""Rows handed over together at most."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_TICK_S = 0.05

Act = Callable[[], object]


class Background:
    """A thread that does what it is given, in order.

    What fails because nothing answers is tried again, after growing pauses, while the rest waits. Any other failure is
    final: nothing more is done.

    Args:
        rows: sends rows.
        may_pass: whether an error may be gone in a while.
        tell: told once when nothing answers (the error), and once when it does again (``None``).
        fail: told of the final failure.

    Attributes:
        lost: rows that will never be sent.
        is_failing: nothing answers now.
    """

    def __init__(
        self,
        *,
        rows: Callable[[Sequence[Row]], object],
        may_pass: Callable[[Exception], bool],
        tell: Callable[[Exception | None], object],
        fail: Callable[[Exception], object],
    ) -> None:
        self.lost = 0
        self.is_failing = False
        self._rows, self._may_pass, self._tell, self._fail = rows, may_pass, tell, fail
        self._waiting: deque[Row | Act] = deque()
        self._n_rows = self._in_hand = 0
        self._changed = threading.Condition()
        self._is_over = self._is_closing = False
        self._hurry = threading.Event()
        # A daemon: a server that doesn't answer must not keep the process alive.
        self._thread = threading.Thread(target=self._work, name="velora-logger", daemon=True)
        self._thread.start()

    def add(self, item: Row | Act) -> None:
        """Take something to do, and return at once."""
        is_row = isinstance(item, Row)
        with self._changed:
            if self._is_over:
                self.lost += is_row
                return
            if is_row and self._n_rows >= MOST_ROWS:
                oldest = next(k for k, waiting in enumerate(self._waiting) if isinstance(waiting, Row))
                del self._waiting[oldest]
                self._n_rows -= 1
                self.lost += 1
            self._waiting.append(item)
            self._n_rows += is_row
            self._changed.notify_all()

    def call(self, act: Callable[[], Any], *, limit_s: float) -> Any:
        """Do something in the thread once, before anything was added, and wait for what comes of it.

        Raises:
            TimeoutError: if it takes longer than ``limit_s``.
            Exception: what it raises.
        """
        outcome: list[Any] = []
        errors: list[Exception] = []
        done = threading.Event()

        def once() -> None:
            try:
                outcome.append(act())
            except Exception as error:  # noqa: BLE001 - raised in the thread that waits
                errors.append(error)
            done.set()

        self.add(once)
        if not done.wait(limit_s):
            self._abandon()
            raise TimeoutError(f"no answer within {limit_s:g} s")
        if errors:
            self._abandon()
            raise errors[0]
        return outcome[0]

    def close(self, since: float, limit_s: Callable[[], float]) -> None:
        """Wait until everything is done, and let the thread end; what isn't done in time is lost.

        Args:
            since: when the waiting began, by ``time.monotonic()``.
            limit_s: how long to wait altogether, asked for again and again.
        """
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._hurry.set()
        while self._thread.is_alive() and time.monotonic() - since < limit_s():
            self._thread.join(_TICK_S)
        self._abandon()

    def _abandon(self) -> None:
        """Do nothing more; what waits is lost."""
        with self._changed:
            self._is_over = self._is_closing = True
            self.lost += self._n_rows + self._in_hand
            self._waiting.clear()
            self._n_rows = self._in_hand = 0
            self._changed.notify_all()
        self._hurry.set()

    def _work(self) -> None:
        while (batch := self._take()) is not None:
            if not self._do(batch):
                break
            with self._changed:
                self._in_hand = 0

    def _take(self) -> list[Row] | Act | None:
        """Wait for something to do: some rows, or an act; ``None`` at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closing)
            if not self._waiting:
                return None
            first = self._waiting.popleft()
            if not isinstance(first, Row):
                return first
            rows = [first]
            while self._waiting and len(rows) < _AT_ONCE and isinstance(self._waiting[0], Row):
                rows.append(self._waiting.popleft())  # type: ignore[arg-type]  # of a row
            self._n_rows -= len(rows)
            self._in_hand = len(rows)
            return rows

    def _do(self, batch: list[Row] | Act) -> bool:
        """Do it, again and again while nothing answers; return whether to go on after it."""
        pause = _FIRST_PAUSE_S
        while True:
            try:
                self._rows(batch) if isinstance(batch, list) else batch()
            except Exception as error:  # noqa: BLE001 - of somebody's server, which training must outlive
                if self._is_over:
                    return False
                if not self._may_pass(error):
                    self._abandon()
                    self._fail(error)
                    return False
                if not self.is_failing:
                    self.is_failing = True
                    self._tell(error)
            else:
                if self.is_failing:
                    self.is_failing = False
                    with contextlib.suppress(Exception):
                        self._tell(None)
                return not self._is_over
            if self._is_closing:
                time.sleep(_FIRST_PAUSE_S)
            else:
                self._hurry.wait(pause)
            if self._is_over:
                return False
            pause = min(2 * pause, _LONGEST_PAUSE_S)
