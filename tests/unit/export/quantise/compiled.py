"""Quantised policies, compiled for this machine and called."""

from __future__ import annotations

import ctypes
import itertools
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from velora.export.policy import Policy
from velora.export.quantise.calibration import Trace, replayed
from velora.export.quantise.description import Quantised
from velora.export.quantise.files import c_files
from velora.export.quantise.memory import memory_of
from velora.export.quantise.model import Model

STRICT = (
    *("-std=c99", "-ffp-contract=off", "-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Wdouble-promotion"),
    "-Werror",
)
SANITISED = ("-fsanitize=undefined,float-cast-overflow", "-fno-sanitize-recover=all")
_NUMBERS = itertools.count()
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc; apt-get install gcc libc6-dev")


def random_trace(policy: Policy, *, steps: int = 120, seed: int = 0, size: float = 1.0) -> Trace:
    """Let a policy act on random walks, in episodes of 40 steps."""
    numbers = np.random.default_rng(seed)
    walk = np.cumsum(numbers.normal(size=(steps, policy.n_observations)) * 0.3, 0)
    obs = (np.sin(walk) * size).astype(np.float32)
    dt = numbers.uniform(0.3, 3.0, steps).astype(np.float32)
    return replayed(policy, obs, dt, np.arange(steps) % 40 == 0)


class Compiled:
    """A policy in C, called as a library; its state is kept here."""

    def __init__(self, quantised: Quantised, trace: Trace, place: Path, *, flags: Sequence[str] = ("-O2",)) -> None:
        place.mkdir(parents=True, exist_ok=True)
        for name, text in c_files(quantised, trace).items():
            (place / name).write_text(text)
        library = place / f"policy{next(_NUMBERS)}.so"  # a path that is loaded already gives the old library
        sources = [str(place / name) for name in ("policy.c", "selftest.c")]
        command = ["gcc", *STRICT, *flags, "-shared", "-fPIC", "-o", str(library), *sources]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        self._library, self._memory, self._policy = ctypes.CDLL(str(library)), memory_of(quantised), quantised.policy
        fields: list[tuple[str, Any]] = [("state", ctypes.c_int16 * self._memory.neurons)]
        fields += [("memory", ctypes.c_int32 * self._memory.memories)] if self._memory.memories else []
        self._state = type("State", (ctypes.Structure,), {"_fields_": fields})()

    def selftest(self) -> int:
        """Run the example steps."""
        return int(self._library.policy_selftest())

    def step(self, obs: NDArray[Any], dt: float, *, starts: bool = False) -> tuple[list[float], list[int]]:
        """Compute an action and the new state."""
        policy, place = self._policy, ctypes.byref(self._state)
        if starts:
            self._library.policy_reset(place)
        action = ((ctypes.c_int if policy.is_discrete else ctypes.c_float) * policy.n_actions)()
        given = (ctypes.c_float * policy.n_observations)(*obs.tolist())
        self._library.policy_step(place, given, ctypes.c_float(dt), action)
        both = (self._state.state, getattr(self._state, "memory", ()))
        return list(action), [int(both[is_memory][at]) for is_memory, at in self._memory.places]


def assert_same_bits(compiled: Compiled, quantised: Quantised, trace: Trace) -> None:
    """Step both along a trace, and compare actions and states."""
    model = Model(quantised)
    state = model.begin(1)
    for obs, dt, starts in zip(trace.obs, trace.dt, trace.starts, strict=True):
        state = model.begin(1) if starts else state
        expected, state = model.step(obs[None], state, dt[None])
        action, found = compiled.step(obs, float(dt), starts=bool(starts))
        assert found == state[0].tolist()
        assert action == expected[0].tolist()
