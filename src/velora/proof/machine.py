"""A firmware that runs, in an emulator or as it is: frames go in, the answers of the policy come out."""

from __future__ import annotations

import os
import select
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from velora.core.errors import ExportError

RESET, MEASURE, END = 1, 2, 4
"""Flags of a request: begin an episode before the step; count its time and stack; stop."""
_MAGIC: Final = 0x464F5250
_HELLO: Final = 20
_PIPE: Final = 32_768
"""Bytes that a pipe holds at least, whatever the system: more frames than that aren't sent ahead."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of a policy, as its manifest tells them."""

    n_observations: int
    n_actions: int
    is_discrete: bool

    @property
    def request(self) -> np.dtype[Any]:
        """Layout of a request; see ``firmware/proof.c``."""
        return np.dtype([("flags", "<u4"), ("dt", "<f4"), ("obs", "<f4", (self.n_observations,))])

    def answer(self, state_bytes: int) -> np.dtype[Any]:
        """Layout of an answer."""
        action = ("action", "<i4" if self.is_discrete else "<f4", (self.n_actions,))
        return np.dtype([("ticks", "<u4"), ("stack", "<u4"), action, ("state", "u1", (state_bytes,))])


class Machine:
    """A firmware that answers frames; use it as a context, which ends it.

    Attributes:
        state_bytes: of the policy's state.
        units_per_tick: instructions or cycles that a tick is.
        overhead: ticks that counting takes by itself.

    Args:
        name: of the target, for errors.
        command: the program and its arguments.
        sizes: of the policy.
        timeout_s: how long an answer may take.

    Raises:
        ExportError: if it can't be started, or doesn't say hello.
    """

    def __init__(self, name: str, command: Sequence[str], sizes: Sizes, *, timeout_s: float) -> None:
        self._name, self._program, self._timeout_s = name, os.path.basename(command[0]), timeout_s
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, bufsize=0
            )
        except OSError as error:
            self._errors.close()
            raise ExportError(f"{name}: {self._program} can't be run ({error.strerror})") from error
        try:
            words = np.frombuffer(self._read(_HELLO), "<u4").astype(int)
            if words[0] != _MAGIC:
                raise ExportError(f"{name}: {self._program} answers, but not as the proof's firmware does")
        except BaseException:
            self._stop()
            raise
        _, self.state_bytes, known, ticks, self.overhead = map(int, words)
        self.units_per_tick = known / (ticks - self.overhead) if known and ticks > self.overhead else 1.0
        self._request, self._answer = sizes.request, sizes.answer(self.state_bytes)
        self._ahead = max(1, _PIPE // max(self._request.itemsize, self._answer.itemsize))

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        """End the firmware, by itself if all went well."""
        if kind is None:
            last = np.zeros(1, self._request)
            last["flags"] = END
            try:
                self._write(last.tobytes())
                self._process.wait(timeout=2.0)
            except (ExportError, subprocess.TimeoutExpired):
                pass
        self._stop()

    def requests(self, n: int) -> NDArray[Any]:
        """Make n requests to fill in."""
        return np.zeros(n, self._request)

    def ask(self, requests: NDArray[Any]) -> NDArray[Any]:
        """Send requests, as many ahead as the pipe holds, and return the answers.

        Raises:
            ExportError: if the firmware ends, or an answer takes too long.
        """
        answers = np.empty(len(requests), self._answer)
        for at in range(0, len(requests), self._ahead):
            some = requests[at : at + self._ahead]
            self._write(some.tobytes())
            read = self._read(len(some) * self._answer.itemsize)
            answers[at : at + len(some)] = np.frombuffer(read, self._answer)
        return answers

    def _write(self, content: bytes) -> None:
        assert self._process.stdin is not None
        descriptor, left = self._process.stdin.fileno(), memoryview(content)
        try:
            while left:
                left = left[os.write(descriptor, left) :]
        except OSError as error:
            raise self._ended() from error

    def _read(self, n: int) -> bytes:
        """Read n bytes; the time to wait begins anew with every piece that arrives."""
        assert self._process.stdout is not None
        descriptor, found = self._process.stdout.fileno(), bytearray()
        until = time.monotonic() + self._timeout_s
        while len(found) < n:
            if not select.select([descriptor], [], [], max(0.0, until - time.monotonic()))[0]:
                raise ExportError(
                    f"{self._name}: {self._program} gave no answer for {self._timeout_s:g} s and was ended; if the "
                    "machine is only slow, give it longer with timeout_s=..."
                )
            piece = os.read(descriptor, n - len(found))
            if not piece:
                raise self._ended()
            found += piece
            until = time.monotonic() + self._timeout_s
        return bytes(found)

    def _ended(self) -> ExportError:
        """Describe how the firmware ended that should have gone on."""
        try:
            code = self._process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            code = None
        self._errors.seek(0)
        lines = [line for line in self._errors.read()[-4_000:].decode(errors="replace").splitlines() if line.strip()]
        said = f": {lines[-1].strip()[:200]}" if lines else ""
        return ExportError(f"{self._name}: {self._program} ended in the middle (exit code {code}){said}")

    def _stop(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            try:
                stream.close()
            except OSError:
                continue
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._errors.close()


def selftest(name: str, command: Sequence[str], *, timeout_s: float) -> int:
    """Run ``policy_selftest`` on a machine, and return what it gave: 0 where all of its examples came out.

    Raises:
        ExportError: if it gives nothing.
    """
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=timeout_s
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ExportError(f"{name}: the self-test gave no answer ({error})") from error
    if len(done.stdout) != 4:
        raise ExportError(f"{name}: the self-test ended without an answer (exit code {done.returncode})")
    return int(np.frombuffer(done.stdout, "<i4")[0])
