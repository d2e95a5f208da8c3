"""Facts about this machine: kernel, cores, memory, GPU, compiler, the directory to write to, versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sysconfig
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from velora import kernels
from velora.cli.doctor import self_check
from velora.core import ram
from velora.core.cores import n_cores
from velora.core.devices import set_device
from velora.core.version import __version__

PACKAGES = ("torch", "numpy", "gymnasium", "mujoco", "lightning", "hydra-core")


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel that computes by default (``device=auto``, ``kernel=auto``), and the state of the native one.

    ``problem`` is the reason why the native kernel is missing, ``None`` where it is built. Building it takes a compiler
    and Python's header files.
    """

    in_use: str
    is_built: bool
    instruction_set: str
    problem: str | None
    compiler: str | None
    has_headers: bool


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """The difference between the native kernel and PyTorch, by kind of network, and the largest that is allowed."""

    differences: Mapping[str, float]
    limit: float

    @property
    def largest(self) -> float:
        """The largest difference."""
        return max(self.differences.values())

    @property
    def agrees(self) -> bool:
        """Whether all differences are within the limit."""
        return self.largest <= self.limit


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that PyTorch can use."""

    name: str
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory: whether files in it can be forced to the disk, and how long that takes."""

    path: str
    fsync_ms: float | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class Machine:
    """All facts about a machine.

    Attributes:
        cores: cores that this process may use.
        cores_in_all: cores of the machine.
        load: mean number of processes that wanted a core in the last minute; ``None`` where the system doesn't tell.
        self_check: ``None`` where there is no native kernel to check.
    """

    kernel: Kernel
    self_check: SelfCheck | None
    cores: int
    cores_in_all: int
    load: float | None
    memory_bytes: int | None
    gpus: tuple[Gpu, ...]
    directory: Directory
    versions: Mapping[str, str | None]

    def threads(self, n_seeds: int) -> int:
        """Return the default number of threads for ``n_seeds`` seeds: one each, and one for the environments."""
        return min(self.cores, n_seeds + 1)

    @property
    def is_busy(self) -> bool:
        """Whether other processes keep the cores busy."""
        return self.load is not None and self.load > self.cores_in_all

    def document(self) -> dict[str, Any]:
        """Return the facts as JSON."""
        found = asdict(self)
        if self.self_check is not None:
            found["self_check"] |= {"largest": self.self_check.largest, "agrees": self.self_check.agrees}
        found["threads"] = {"one_seed": self.threads(1), "most": self.cores}
        return found


def examine(directory: Path) -> Machine:
    """Gather the facts about this machine, and about a directory on it."""
    report = kernels.report()
    in_use = kernels.choose("auto", set_device("auto"))
    headers = Path(sysconfig.get_path("include"), "Python.h").is_file()
    problem = _one_line(report.problem)
    return Machine(
        kernel=Kernel(in_use, report.is_built, report.instruction_set, problem, report.compiler, headers),
        self_check=SelfCheck(self_check.differences(), self_check.LIMIT) if report.is_built else None,
        cores=n_cores(),
        cores_in_all=os.cpu_count() or 1,
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        memory_bytes=ram.available_bytes(),
        gpus=_gpus(),
        directory=_try_to_write(directory),
        versions={
            "python": platform.python_version(),
            "velora": __version__,
            **{package: _version(package) for package in PACKAGES},
        },
    )


def _one_line(text: str | None) -> str | None:
    return None if text is None else " ".join(text.split())


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _gpus() -> tuple[Gpu, ...]:
    if not torch.cuda.is_available():
        return ()
    found = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    return tuple(Gpu(str(gpu.name), int(gpu.total_memory)) for gpu in found)


def _try_to_write(directory: Path) -> Directory:
    """Write a small file the way a checkpoint is written, and remove it."""
    try:
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".velora-doctor-") as file:
            file.write(b"velora" * 1000)
            start_s = time.perf_counter()
            file.flush()
            os.fsync(file.fileno())
            if hasattr(os, "O_DIRECTORY"):  # Windows can't open one
                descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            return Directory(str(directory), 1000 * (time.perf_counter() - start_s), None)
    except OSError as error:
        return Directory(str(directory), None, error.strerror or type(error).__name__)
