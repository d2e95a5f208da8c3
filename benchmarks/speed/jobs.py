"""One measuring process: what it is asked, where it runs, and what it answers."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
SCRATCH = ROOT / "outputs" / "bench-speed"
"""On the disk of the repository, so that a sync to disk is one."""
TERMINAL_SIZE = (40, 120)
TAIL_LINES = 12

Answer = dict[str, Any]


class JobFailedError(Exception):
    """A process ended without an answer."""


@dataclass(frozen=True, slots=True)
class Job:
    """Say what one process measures.

    Attributes:
        contender: who, as the tables call it.
        case: doing what, as the tables call it.
        module: the script, started with ``python -m``; the peers' have a Python of their own.
        settings: its argument, with a ``task`` in it.
        cores: cores it may use, and threads for each library that has them.
        is_pinned: keep it on the last cores, so that nothing moves it about while it is timed.
        limit_s: when to end it.
        sees_ours: let a peer import Velora as it is here, in place of the published one.
    """

    contender: str
    case: str
    module: str
    settings: Mapping[str, Any]
    cores: int = 1
    limit_s: float = 300.0
    is_pinned: bool = True
    sees_ours: bool = False

    @property
    def is_peer(self) -> bool:
        """Tell whether it runs in the peers' environment."""
        return self.module.startswith("benchmarks.peers")

    @property
    def on_gpu(self) -> bool:
        """Tell whether it may see a GPU."""
        return self.settings.get("device") == "cuda"

    @property
    def kernel(self) -> str | None:
        """Name the kernel that is measured; ``None`` for a peer."""
        return self.settings.get("kernel")


def run(job: Job) -> Answer:
    """Start the process in an empty folder, with a terminal to draw on, and wait for its answer.

    Raises:
        JobFailedError: if there is none in time; the message is the process's last line.
    """
    SCRATCH.mkdir(parents=True, exist_ok=True)
    python = PEERS_PYTHON if job.is_peer else sys.executable
    with tempfile.TemporaryDirectory(dir=SCRATCH, ignore_cleanup_errors=True) as folder, _terminal() as (screen, tail):
        settings = {**job.settings, "threads": job.cores, "started": time.time()}
        process = subprocess.Popen(
            [python, "-m", job.module, json.dumps(settings)],
            cwd=folder,
            env=_environment(job),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=screen,
            text=True,
            preexec_fn=partial(_pin, job.cores) if job.is_pinned else None,
        )
        try:
            printed, _ = process.communicate(timeout=job.limit_s)
        except subprocess.TimeoutExpired:
            raise JobFailedError(f"no answer within {job.limit_s:.0f} s") from None
        finally:
            process.kill()
            process.wait()
    lines = printed.splitlines()
    if process.returncode or not lines:
        raise JobFailedError(next((line for line in reversed(tail) if line.strip()), f"exit {process.returncode}"))
    answer: Answer = json.loads(lines[-1])
    return answer


def _environment(job: Job) -> dict[str, str]:
    """Let the process see only its own libraries, and use only its own cores."""
    paths = [ROOT] if job.is_peer and not job.sees_ours else [ROOT / "src", ROOT]
    threads = {f"{library}_NUM_THREADS": str(job.cores) for library in ("OMP", "MKL", "OPENBLAS")}
    return {
        **os.environ,
        **threads,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTHONWARNINGS": "ignore",
        "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={'true' if job.cores > 1 else 'false'}",
        "JAX_PLATFORMS": "cpu",
        "TERM": "xterm-256color",
        **({} if job.on_gpu else {"CUDA_VISIBLE_DEVICES": ""}),
    }


def _pin(cores: int) -> None:
    """Keep the process on its cores, the last ones of those that there are; only Linux can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-cores:])


@contextlib.contextmanager
def _terminal() -> Iterator[tuple[int, deque[str]]]:
    """Open a terminal that nobody looks at, and keep the last lines that were written to it."""
    reader, screen = pty.openpty()
    termios.tcsetwinsize(screen, TERMINAL_SIZE)
    tail: deque[str] = deque(maxlen=TAIL_LINES)

    def drain() -> None:
        with open(reader, encoding="utf-8", errors="replace") as shown, contextlib.suppress(OSError):
            for line in shown:
                tail.append(line.rstrip())

    thread = threading.Thread(target=drain, daemon=True)
    thread.start()
    try:
        yield screen, tail
    finally:
        os.close(screen)
        thread.join(timeout=5)
