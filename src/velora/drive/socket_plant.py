"""A plant at the far end of a TCP socket: lines of text, so that any language, or a person with netcat, can be one.

The loop connects, and the plant speaks first. Numbers are decimal, separated by single spaces; a line ends with a
newline.

=======================================  =====================================================================
line                                     meaning
=======================================  =====================================================================
plant: ``velora-plant 1 O A step_s``     its greeting: sizes of observation and action; seconds of a control
                                         step, 0 if it doesn't know
plant: ``r time_ns flags reward o1 ..``  a reading, whenever there is one. ``flags`` is a sum: 1 an episode
                                         begins, 2 it ended by itself, 4 it was cut off
loop: ``a a1 a2 ..``                     an action, which holds until the next
=======================================  =====================================================================

Either side closes the connection to end. The loop takes the newest reading that has arrived and drops those before;
their rewards are added up, and an episode's beginning or end among them isn't lost.
"""

from __future__ import annotations

import math
import socket
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.core.errors import PlantError
from velora.drive.plant import Reading

GREETING, VERSION = "velora-plant", 1
BEGINS, TERMINATED, TRUNCATED = 1, 2, 4
_LONGEST = 1 << 20
_SILENCE_S = 5.0


class SocketPlant:
    """A plant behind an address; the module says what is spoken.

    Args:
        host: a name or an address.
        port: its port.
        timeout_s: for connecting and for the greeting; afterwards nothing waits.

    Raises:
        PlantError: if nobody answers there, or something else than a plant.

    Attributes:
        n_observations, n_actions: as the plant greets.
        step_s: seconds of a control step; ``None`` if the plant doesn't know.
    """

    def __init__(self, host: str, port: int, *, timeout_s: float = _SILENCE_S) -> None:
        self.address = f"tcp://{host}:{port}"
        self._rest = b""
        try:
            self._socket = socket.create_connection((host, port), timeout_s)
        except OSError as error:
            reason = error.strerror or str(error)
            raise PlantError(f"plant: nobody answers at {self.address} ({reason}); start the plant first") from error
        try:
            self._greet(timeout_s)
        except PlantError:
            self._socket.close()
            raise
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)

    def _greet(self, timeout_s: float) -> None:
        until, line = time.monotonic() + timeout_s, b""
        try:
            while b"\n" not in line and len(line) < 200:
                self._socket.settimeout(max(1e-3, until - time.monotonic()))
                more = self._socket.recv(200)
                if not more:
                    break
                line += more
        except OSError as error:
            raise PlantError(f"plant: {self.address} says nothing in {timeout_s:g} s; expected a greeting") from error
        first, _, self._rest = line.partition(b"\n")
        words = first.decode("ascii", "replace").split(" ")
        try:
            if words[:2] != [GREETING, str(VERSION)]:
                raise ValueError
            self.n_observations, self.n_actions = int(words[2]), int(words[3])
            step_s = float(words[4])
            if len(words) != 5 or not (0 < self.n_observations < 10**6 and 0 < self.n_actions < 10**6 and step_s >= 0):
                raise ValueError
        except (ValueError, IndexError):
            raise PlantError(
                f"plant: {self.address} greets with {first[:60]!r}; expected '{GREETING} {VERSION} O A step_s'"
            ) from None
        self.step_s = step_s if 0.0 < step_s < math.inf else None

    def read(self) -> Reading | None:
        """Return the newest reading that has arrived.

        Raises:
            PlantError: if the plant has gone, or its line can't be read.
        """
        while True:
            try:
                more = self._socket.recv(65_536)
            except BlockingIOError:
                break
            except OSError as error:
                raise PlantError(f"plant: {self.address} has gone ({error.strerror or error})") from error
            if not more:
                raise PlantError(f"plant: {self.address} has closed the connection")
            self._rest += more
            if len(self._rest) > _LONGEST:
                break
        return self._newest()

    def _newest(self) -> Reading | None:
        *lines, self._rest = self._rest.split(b"\n")
        if not lines:
            if len(self._rest) > _LONGEST:
                raise PlantError(f"plant: {self.address} sent a line of more than {_LONGEST} bytes")
            return None
        newest, taken = self._parsed(lines[0]), 1
        while taken < len(lines) and not (newest.terminated or newest.truncated):
            after = self._parsed(lines[taken])
            if after.begins:
                break
            newest = after._replace(reward=newest.reward + after.reward, begins=newest.begins)
            taken += 1
        self._rest = b"\n".join([*lines[taken:], self._rest])  # another episode is for the next tick
        return newest

    def _parsed(self, line: bytes) -> Reading:
        words = line.split(b" ")
        try:
            if words[0] != b"r" or len(words) != 4 + self.n_observations:
                raise ValueError
            flags, reward = int(words[2]), float(words[3])
            obs = np.array(words[4:], np.float64).astype(np.float32)
            if not (math.isfinite(reward) and np.isfinite(obs).all() and 0 <= flags < 8):
                raise ValueError
            at = int(words[1])
        except ValueError:
            expected = f"'r time_ns flags reward' and {self.n_observations} finite numbers"
            raise PlantError(f"plant: {self.address} sent {line[:80]!r}; expected {expected}") from None
        return Reading(obs, at, bool(flags & BEGINS), reward, bool(flags & TERMINATED), bool(flags & TRUNCATED))

    def write(self, action: NDArray[Any]) -> None:
        """Send an action.

        Raises:
            PlantError: if the plant has gone, or takes nothing any more.
        """
        line = f"a {' '.join(map(repr, np.asarray(action).tolist()))}\n".encode()
        try:
            sent = self._socket.send(line)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise PlantError(f"plant: {self.address} has gone ({error.strerror or error})") from error
        if sent != len(line):
            raise PlantError(f"plant: {self.address} takes no actions any more; it has stopped reading")

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()
