"""Compile a generated policy and step it through ctypes."""

from __future__ import annotations

import ctypes
import itertools
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from velora.export.c.target import write_c
from velora.export.policy import Policy

STRICT = [
    "-std=c99", "-ffp-contract=off", "-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Wdouble-promotion", "-Werror",
]  # fmt: skip
_numbers = itertools.count()


def needs(command: str, package: str) -> pytest.MarkDecorator:
    """Skip where a program is missing, with the command that installs it."""
    return pytest.mark.skipif(shutil.which(command) is None, reason=f"apt-get install {package}")


needs_gcc = needs("gcc", "gcc")


class Compiled:
    """A policy as a shared library.

    Args:
        out: where its files are written. The library gets a name of its own: a path that was loaded once stays loaded.
    """

    def __init__(self, policy: Policy, out: Path, *flags: str, compiler: str = "gcc") -> None:
        self.policy = policy
        write_c(policy, out)
        library = out / f"policy{next(_numbers)}.so"
        sources = [str(out / name) for name in ("policy.c", "selftest.c")]
        run([compiler, "-O1", *STRICT, *flags, "-shared", "-fPIC", "-o", str(library), *sources])
        self._c = ctypes.CDLL(str(library))
        self._c.policy_step.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_float, ctypes.c_void_p]
        self._c.policy_step.restype = None

    def selftest(self) -> int:
        return int(self._c.policy_selftest())

    def reset(self) -> NDArray[np.float32]:
        state = np.full(self.policy.n_state, 7.0, np.float32)
        self._c.policy_reset(ctypes.c_void_p(state.ctypes.data))
        return state

    def step(self, obs: NDArray[Any], state: NDArray[Any], dt: float) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Compute the next action and state."""
        obs, new = np.ascontiguousarray(obs, np.float32), np.array(state, np.float32)
        action = np.zeros(self.policy.n_actions, np.int32 if self.policy.is_discrete else np.float32)
        self._c.policy_step(new.ctypes.data, obs.ctypes.data, dt, action.ctypes.data)
        return action, new


def run(command: list[str], **options: Any) -> str:
    """Run a command to its end; its output is in the error, if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return str(done.stdout)
