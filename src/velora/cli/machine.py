"""What this machine has for Velora: kernel, cores, memory, GPU, compiler, a place to write to, and the versions."""

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
from velora.cli import self_check
from velora.core import ram
from velora.core.devices import n_cores, set_device
from velora.core.version import __version__

PACKAGES = ("torch", "numpy", "gymnasium", "mujoco", "lightning", "hydra-core")


@dataclass(frozen=True, slots=True)
class Kernel:
    """Say what computes by default (``device=auto``, ``kernel=auto``), and what is there.

    ``problem`` is why the native kernel isn't there; ``None`` if it is. A compiler and Python's header files build it.
    """

    in_use: str
    is_built: bool
    instruction_set: str
    problem: str | None
    compiler: str | None
    has_headers: bool


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """Hold how far the native kernel lies from PyTorch, by kind of network, and how far it may."""

    differences: Mapping[str, float]
    limit: float

    @property
    def largest(self) -> float:
        """The largest difference."""
        return max(self.differences.values())

    @property
    def agrees(self) -> bool:
        """Whether all of them are harmless."""
        return self.largest <= self.limit


@dataclass(frozen=True, slots=True)
class Gpu:
    """Name a GPU that PyTorch can use."""

    name: str
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Directory:
    """Tell whether what is written in a directory can be forced to the disk, and how long that takes."""

    path: str
    fsync_ms: float | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class Machine:
    """Gather all of it.

    Attributes:
        cores: that this process may use.
        cores_in_all: of the machine.
        load: processes that wanted a core in the last minute, on average; ``None`` where the system doesn't tell.
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
        """Count the threads that a run of so many seeds takes by default: the environments step beside them."""
        return min(self.cores, n_seeds + 1)

    @property
    def is_busy(self) -> bool:
        """Whether others keep the cores busy."""
        return self.load is not None and self.load > self.cores_in_all

    def document(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        found = asdict(self)
        if self.self_check is not None:
            found["self_check"] |= {"largest": self.self_check.largest, "agrees": self.self_check.agrees}
        found["threads"] = {"one_seed": self.threads(1), "most": self.cores}
        return found


def examine(directory: Path) -> Machine:
    """Look at this machine, and at a directory on it."""
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
    """Write a small file as a checkpoint is written, and take it away again."""
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
