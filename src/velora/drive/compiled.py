"""The policy in C: compiled into a shared library, and called from a loop in Python."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.core.errors import NonFiniteError, PlantError, SettingError
from velora.drive.plant import Reading, Sizes

NATIVE = Path(__file__).parent / "native"
FLAGS = ("-std=c99", "-O2", "-ffp-contract=off", "-D_POSIX_C_SOURCE=200809L", "-fPIC", "-shared")
_FILES = ("policy.h", "policy.c")


class CompiledPolicy:
    """The shared library of a policy in C, with the loop and a plant.

    Args:
        directory: holds ``policy.h`` and ``policy.c``, as ``velora export to=c`` writes them.
        plant: a C file with the four functions of ``native/plant.h``; ``None`` takes the mailbox, whose other side is
            in Python.
        sizes: of the checkpoint that it was written from, which its own have to be.

    Raises:
        SettingError: if there is no compiler, a file is missing, or it doesn't compile.
        PlantError: if the sizes differ.

    Attributes:
        library: the functions of ``native/loop.h``.
    """

    def __init__(self, directory: Path, sizes: Sizes, *, plant: Path | None = None) -> None:
        self.directory, self.sizes = directory, sizes
        missing = [name for name in _FILES if not (directory / name).is_file()]
        if missing:
            raise SettingError(
                f"policy: {directory} has no {missing[0]}; write it with velora export <checkpoint> to=c"
            )
        if plant is not None and not plant.is_file():
            raise SettingError(f"plant: there is no file {plant}")
        self.library: Any = _load([directory / "policy.c", NATIVE / "loop.c", plant or NATIVE / "mailbox.c"], directory)
        self.library.drive_size.restype = ctypes.c_int64
        self.library.drive_measure.restype = ctypes.c_double
        own = self.library.drive_observations(), self.library.drive_actions()
        if own != (sizes.n_observations, sizes.n_actions):
            raise PlantError(
                f"policy: {directory} takes {own[0]} observations and gives {own[1]} actions; the checkpoint takes "
                f"{sizes.n_observations} and gives {sizes.n_actions}; export it again"
            )
        if bool(self.library.drive_is_discrete()) != sizes.is_discrete:
            raise PlantError(f"policy: {directory} has actions of another kind than the checkpoint; export it again")

    def step_s(self) -> float:
        """Measure the seconds that a step takes."""
        return float(self.library.drive_measure())


class CompiledController:
    """The policy in C as a controller; see :class:`velora.drive.controller.Controller`.

    Args:
        policy: its state is one, so that no other loop may step it meanwhile.
    """

    def __init__(self, policy: CompiledPolicy) -> None:
        self.policy, self.sizes, self.name = policy, policy.sizes, "policy in C"
        self._obs = np.zeros(self.sizes.n_observations, np.float32)
        self._action = np.zeros(self.sizes.n_actions, np.float32)
        pointer = ctypes.POINTER(ctypes.c_float)
        self._step = policy.library.drive_step
        self._step.argtypes, self._step.restype = (pointer, ctypes.c_float, pointer), None
        self._at = self._obs.ctypes.data_as(pointer), self._action.ctypes.data_as(pointer)

    def begin(self) -> None:
        """See :class:`velora.drive.controller.Controller`."""
        self.policy.library.drive_begin()

    def act(self, reading: Reading, dt: float) -> NDArray[Any]:
        """See :class:`velora.drive.controller.Controller`."""
        self._obs[...] = reading.obs
        if not np.isfinite(self._obs).all():
            raise NonFiniteError(f"plant: gave the observation {self._obs.tolist()}; expected finite numbers")
        self._step(self._at[0], dt, self._at[1])
        return self._action.astype(np.int64) if self.sizes.is_discrete else self._action.copy()

    def rehearse(self) -> None:
        """See :class:`velora.drive.controller.Controller`."""
        self.act(Reading(np.zeros(self.sizes.n_observations, np.float32), 0), 1.0)
        self.begin()

    def close(self) -> None:
        """See :class:`velora.drive.controller.Controller`."""


def _load(sources: Sequence[Path], headers: Path) -> Any:
    """Compile and load; a path that is loaded already would give the library of before, so each build has its own."""
    with tempfile.TemporaryDirectory(prefix="velora-drive-") as place:
        path = Path(place) / "policy.so"
        _compile(sources, headers, path)
        try:
            return ctypes.CDLL(str(path))
        except OSError as error:  # a function that the loop calls isn't there
            said = str(error).rpartition("policy.so: ")[2]
            needed = f"a plant has the four functions of {NATIVE / 'plant.h'}"
            raise SettingError(f"plant: {sources[-1]} can't be loaded ({said}); {needed}") from error


def _compile(sources: Sequence[Path], headers: Path, out: Path) -> None:
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if compiler is None:
        raise SettingError("policy: in C it needs a compiler, and there is no cc; apt-get install gcc")
    command = [compiler, *FLAGS, f"-I{headers}", f"-I{NATIVE}", *map(str, sources), "-o", str(out), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip()[:200])
        raise SettingError(f"policy: {compiler} can't compile it: {said}")
