"""Find the processes of a sweep, wherever its launcher has put them, and kill them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Final

TAG: Final = "VELORA_BENCHMARK_SWEEP"
"""The variable that every process of a sweep inherits, in whatever session or group it is."""
_GONE_S: Final = 30.0


def tagged(token: str) -> list[int]:
    """List the live processes of a sweep: the command, its workers, and what a launcher keeps running beside them."""
    wanted = f"{TAG}={token}".encode()
    return [pid for pid in _pids() if wanted in _read(pid, "environ").split(b"\0") and _is_alive(pid)]


def training(token: str, sweep: Path) -> dict[int, Path]:
    """Map each process that trains a job of the sweep to the job's directory: it has the metrics open."""
    found = {}
    for pid in tagged(token):
        with contextlib.suppress(OSError):
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    path = link.readlink()
                    if path.name == "metrics.db" and path.parent.parent == sweep:
                        found[pid] = path.parent
    return found


def kill_all(token: str) -> int:
    """Kill every process of a sweep, until none is left; return how many were killed.

    Raises:
        TimeoutError: if some can't be killed.
    """
    killed: set[int] = set()
    end = time.monotonic() + _GONE_S
    while left := {*tagged(token), *filter(_is_alive, killed)}:  # one that is ending has no environment any more
        if time.monotonic() > end:
            raise TimeoutError(f"processes {sorted(left)} are still there after SIGKILL")
        for pid in left:
            kill(pid)
        killed.update(left)
        time.sleep(0.02)
    return len(killed)


def kill(pid: int) -> None:
    """Kill one process."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _is_alive(pid: int) -> bool:
    """Return whether any thread of a process is there and no zombie: the last one frees its locks."""
    stats = [_read(pid, f"task/{path.name}/stat") for path in _threads(pid)]
    return any(stat.rpartition(b")")[2].split()[:1] not in ([], [b"Z"], [b"X"]) for stat in stats)


def _threads(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []
