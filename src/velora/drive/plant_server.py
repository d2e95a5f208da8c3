"""The reference for a plant behind a socket: any plant, served to one loop after the other."""

from __future__ import annotations

import socket
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.core.errors import PlantError
from velora.drive.plant import Plant, Reading
from velora.drive.socket_plant import BEGINS, GREETING, TERMINATED, TRUNCATED, VERSION


class PlantServer:
    """The reference for the other side: any plant, given to one loop after the other.

    Args:
        plant: what is driven; :meth:`close` closes it.
        n_observations, n_actions: its sizes.
        step_s: seconds of a control step; 0 if it has none.
        host, port: where to listen; port 0 takes a free one.
        every_s: seconds between two looks at the plant.

    Attributes:
        port: where it listens.
        is_paused: stops answering while it is set, as a plant whose power is cut.
    """

    def __init__(
        self,
        plant: Plant,
        *,
        n_observations: int,
        n_actions: int,
        step_s: float = 0.0,
        host: str = "127.0.0.1",
        port: int = 0,
        every_s: float = 0.001,
        is_discrete: bool = False,
    ) -> None:
        self._plant, self._every_s, self._is_discrete = plant, every_s, is_discrete
        self._n_actions = n_actions
        self._hello = f"{GREETING} {VERSION} {n_observations} {n_actions} {step_s!r}\n".encode()
        try:
            self._listening = socket.create_server((host, port))
        except OSError as error:
            raise PlantError(f"plant: can't listen at {host}:{port} ({error.strerror or error})") from error
        self.port: int = self._listening.getsockname()[1]
        self._listening.settimeout(0.1)
        self.is_paused = threading.Event()
        self._ended = threading.Event()

    def serve(self) -> None:
        """Serve until :meth:`close`; a loop that leaves makes room for the next."""
        while not self._ended.is_set():
            try:
                connection, _ = self._listening.accept()
            except TimeoutError:
                continue
            except OSError:
                break
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._serve_one(connection)
        self._listening.close()

    def _serve_one(self, connection: socket.socket) -> None:
        rest = b""
        try:
            connection.sendall(self._hello)
            connection.settimeout(self._every_s)
            while not self._ended.is_set():
                try:
                    more = connection.recv(4_096)
                except TimeoutError:
                    more = b""
                else:
                    if not more:
                        return
                if self.is_paused.is_set():
                    continue
                *lines, rest = (rest + more).split(b"\n")
                if lines:
                    self._plant.write(self._action(lines[-1]))
                reading = self._plant.read()
                if reading is not None:
                    connection.sendall(_line(reading))
        except (ConnectionError, TimeoutError):
            return

    def _action(self, line: bytes) -> NDArray[Any]:
        words = line.split(b" ")
        if words[0] != b"a" or len(words) != 1 + self._n_actions:
            raise PlantError(f"plant: the loop sent {line[:80]!r}; expected 'a' and {self._n_actions} numbers")
        action = np.array(words[1:], np.float64)
        return action.astype(np.int64 if self._is_discrete else np.float32)

    def close(self) -> None:
        """Serve no longer, and close the plant."""
        self._ended.set()
        self._plant.close()


def _line(reading: Reading) -> bytes:
    flags = reading.begins * BEGINS + reading.terminated * TERMINATED + reading.truncated * TRUNCATED
    numbers = " ".join(map(repr, reading.obs.tolist()))
    return f"r {reading.time_ns} {flags} {float(reading.reward)!r} {numbers}\n".encode()
