"""What a measuring process and the one that starts it say to each other.

The process gets one argument, a JSON object with at least ``task`` and ``threads``, and prints one JSON object as the
last line of its standard output. This module runs in both environments, so it knows neither ours nor the peers' agents.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gymnasium as gym

Settings = dict[str, Any]
Answer = dict[str, Any]
Task = Callable[[Settings], Answer]
PACKAGES = {
    "torch": "torch",
    "gymnasium": "gymnasium",
    "numpy": "numpy",
    "sqlmodel": "sqlmodel",
    "stable_baselines3": "stable-baselines3",
    "sb3_contrib": "sb3-contrib",
    "sbx": "sbx-rl",
    "jax": "jax",
    "cleanrl": "cleanrl",
    "ncps": "ncps",
    "rltools": "rltools",
    "rejax": "rejax",
    "gymnax": "gymnax",
}
"""Modules whose versions are reported if they were used, and what they are called on the registry."""
WINDOW = 10
"""Episodes whose mean decides whether an environment is solved."""


def serve(tasks: Mapping[str, Task]) -> None:
    """Do the task that the command line asks for, and print the answer.

    PyTorch is told its threads where the task's module has imported it; not every peer needs it. A task may name
    versions of its own.
    """
    settings = json.loads(sys.argv[1])
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(settings["threads"])
    wall, cpu = time.perf_counter(), _processor_time()
    answer = tasks[settings["task"]](settings)
    answer["cores_had"] = (_processor_time() - cpu) / (time.perf_counter() - wall)
    answer["peak_mb"] = peak_memory_mb()
    answer["threads"] = settings["threads"]
    used = {name: version(name) for module, name in PACKAGES.items() if module in sys.modules}
    if "velora" in sys.modules:  # ours, or the other code base of that name
        used["velora"] = getattr(sys.modules["velora"], "__version__", None) or version("velora")
    answer["versions"] = {"python": platform.python_version(), **used, **answer.get("versions", {})}
    sys.stdout.flush()
    print("\n" + json.dumps(answer), flush=True)


def _processor_time() -> float:
    """Return the processor time of this process and of those that it started and that have ended, in seconds."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def peak_memory_mb() -> float:
    """Return the most memory that this process has had resident so far, in MB (10**6 bytes).

    Linux's ``VmHWM``, since ``ru_maxrss`` there begins with what the parent process held when it started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


class EnoughError(Exception):
    """End a run of a library from inside its environment: everything has been measured."""


class Clock(gym.Wrapper[Any, Any, Any, Any]):
    """Time the steps of a run, after some that don't count, and end it when the time is up.

    Args:
        skip: steps before the clock starts: the warm-up, and compilation.
        seconds: how long to measure.
        every: measure whole numbers of so many steps; ``skip`` should be a multiple.
    """

    def __init__(self, env: gym.Env[Any, Any], *, skip: int, seconds: float, every: int = 1) -> None:
        super().__init__(env)
        self._skip, self._seconds, self._every = skip, seconds, every
        self._count = 0
        self._started = 0.0
        self.steps = 0
        self.seconds = 0.0

    def step(self, action: Any) -> Any:
        """Look at the clock before the step."""
        passed = self._count - self._skip
        if passed >= 0 and passed % self._every == 0:
            now = time.perf_counter()
            if passed == 0:
                self._started = now
            elif now - self._started >= self._seconds:
                self.steps, self.seconds = passed, now - self._started
                raise EnoughError
        self._count += 1
        return self.env.step(action)

    def answer(self) -> Answer:
        """Say what was measured."""
        return {"steps": self.steps, "seconds": self.seconds, "steps_per_s": self.steps / self.seconds}


class Referee(gym.Wrapper[Any, Any, Any, Any]):
    """End a run when its last training episodes are good enough on average, or its time is up.

    Args:
        started: when the process was started, as ``time.time()``.
        target: the mean return of the last ``WINDOW`` episodes to reach.
        limit_s: when to give up, counted from ``started``.
    """

    def __init__(self, env: gym.Env[Any, Any], *, started: float, target: float, limit_s: float) -> None:
        super().__init__(env)
        self._started, self._target, self._limit_s = started, target, limit_s
        self._returns: deque[float] = deque(maxlen=WINDOW)
        self._return = 0.0
        self.steps = 0
        self.solved_s: float | None = None

    def step(self, action: Any) -> Any:
        """Add up the return; judge when the episode ends."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        self.steps += 1
        self._return += float(reward)
        elapsed = time.time() - self._started
        if terminated or truncated:
            self._returns.append(self._return)
            self._return = 0.0
            if len(self._returns) == WINDOW and statistics.fmean(self._returns) >= self._target:
                self.solved_s = elapsed
                raise EnoughError
        if elapsed > self._limit_s:
            raise EnoughError
        return obs, reward, terminated, truncated, info

    def answer(self) -> Answer:
        """Say when it was solved; ``None`` if it was not."""
        return {"solved_s": self.solved_s, "steps": self.steps}


def median_ms(call: Callable[[], object], *, seconds: float, least: int = 3) -> float:
    """Call something again and again, once to warm up, and return the median time of a call in ms.

    Args:
        seconds: how long.
        least: calls to make however long they take.
    """
    call()
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < least or time.perf_counter() - begin < seconds:
        before = time.perf_counter()
        call()
        times.append(time.perf_counter() - before)
    return statistics.median(times) * 1e3


def time_checkpoints(
    save: Callable[[Path, bool], object], load: Callable[[Path, bool], object], *, repeats: int
) -> Answer:
    """Save and load again and again, each time to a new place, without the replay buffer and with it.

    Args:
        save, load: take where, and whether with the buffer.
    """
    answer: Answer = {}
    for prefix, with_buffer in (("", False), ("buffer_", True)):
        saving, loading = [], []
        for repeat in range(repeats + 1):
            place = Path(f"{prefix}{repeat}") / "checkpoint"
            place.parent.mkdir()
            begin = time.perf_counter()
            save(place, with_buffer)
            saved = time.perf_counter()
            load(place, with_buffer)
            saving.append(saved - begin)
            loading.append(time.perf_counter() - saved)
            shutil.rmtree(place.parent)
        # The first of each is warming up.
        answer[f"{prefix}save_ms"] = statistics.median(saving[1:]) * 1e3
        answer[f"{prefix}load_ms"] = statistics.median(loading[1:]) * 1e3
    return answer
