"""Which kernel computes: by a setting, for a device, and inside a ``with``."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from torch import Tensor

from velora.core.errors import SettingError
from velora.kernels.arrays.backend import ArrayBackend
from velora.kernels.arrays.libraries import namespace
from velora.kernels.backend import Backend
from velora.kernels.native import binding
from velora.kernels.native.backend import NativeBackend

KERNELS = ("auto", "native", "numpy", "torch")
_INSTALL = "install a C compiler and install Velora again; `velora doctor` says how"
_chosen: ContextVar[str] = ContextVar("kernel", default="auto")
_log = logging.getLogger(__name__)
_told = False


@dataclass(frozen=True, slots=True)
class KernelReport:
    """Kernel of this machine: the native one's instruction set, or why there is none."""

    is_built: bool
    instruction_set: str
    problem: str | None
    compiler: str | None


def report() -> KernelReport:
    """Look at what is installed."""
    compiler = next((found for name in ("cc", "gcc", "clang", "cl") if (found := shutil.which(name))), None)
    sets = [] if binding.extension is None else binding.extension.instruction_sets()
    return KernelReport(binding.extension is not None, sets[-1] if sets else "none", binding.problem, compiler)


def instruction_set(kernel: str) -> str:
    """Name the widest instructions that a kernel computes with on this processor."""
    return report().instruction_set if kernel == "native" else torch.backends.cpu.get_cpu_capability()


def choose(kernel: str, device: torch.device | None = None, *, sees_images: bool = False) -> str:
    """Turn a ``kernel`` setting into ``"native"``, ``"numpy"`` or ``"torch"``.

    ``"auto"`` is the fastest that there is: on the CPU the native kernel, or NumPy where that isn't built; on a GPU
    torch. Images are for torch alone.

    Raises:
        SettingError: if it is unknown, or computes on the CPU but the device is another, or isn't built, or has no
            convolutions and ``sees_images``.
    """
    global _told
    if kernel not in KERNELS:
        raise SettingError(f"kernel: expected one of {', '.join(KERNELS)}, got {kernel!r}")
    on_cpu = device is None or device.type == "cpu"
    if kernel in ("native", "numpy") and not on_cpu:
        raise SettingError(f"kernel: {kernel!r} computes on the CPU, but the device is {device}; use 'torch'")
    if sees_images and kernel in ("native", "numpy"):
        raise SettingError(f"kernel: {kernel!r} has no convolutions, which images need; use 'torch' or 'auto'")
    if sees_images:
        return "torch"
    if kernel == "native" and binding.extension is None:
        raise SettingError(f"kernel: the native kernel wasn't built ({binding.problem}); {_INSTALL}, or use 'numpy'")
    if kernel != "auto":
        return kernel
    if on_cpu and binding.extension is None and not _told:
        _told = True
        _log.info(
            "the native kernel isn't there (%s), so NumPy computes, about three times slower; %s",
            binding.problem,
            _INSTALL,
        )
    return "torch" if not on_cpu else "numpy" if binding.extension is None else "native"


@contextlib.contextmanager
def using(kernel: str) -> Iterator[None]:
    """Choose the kernel of :func:`velora.nn.unroll` inside a ``with``, and for this thread alone.

    Raises:
        SettingError: as :func:`choose`.
    """
    choose(kernel)
    before = _chosen.set(kernel)
    try:
        yield
    finally:
        _chosen.reset(before)


def chosen(tensor: Tensor) -> str:
    """Name the kernel that unrolls over this tensor now; the native one computes in float32 only."""
    if tensor.device.type != "cpu":
        return "torch"
    kernel = choose(_chosen.get())
    return "numpy" if kernel == "native" and tensor.dtype != torch.float32 else kernel


def make_backend(kernel: str, device: torch.device | None = None) -> Backend:
    """Choose by a kernel's name: ``"native"``, ``"numpy"`` or ``"torch"``."""
    if kernel == "native":
        return NativeBackend()
    return ArrayBackend(namespace(kernel, torch.float32, torch.device("cpu") if device is None else device))
