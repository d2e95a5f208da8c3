"""Load the shim between this process and the C library, and tell it what to do.

Knows nothing of Velora: processes of peers load it too. Linux only, where LD_PRELOAD is.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SOURCE: Final = Path(__file__).with_name("shim.c")
KINDS: Final = ("open", "write", "fsync", "truncate", "rename", "exchange", "link", "unlink", "mkdir", "rmdir", "mark")
"""The kinds of calls, in the order of the shim."""
ACTIONS: Final = ("count", "before", "half", "after", "fail", "shorten")
"""``before``, ``half`` and ``after`` kill the process there; ``fail`` sets errno; ``shorten`` writes half."""
KILLS: Final = ("before", "half", "after")
FOREVER: Final = 2**62


@dataclass(frozen=True)
class Strike:
    """Fault that waits for one of the write-side calls of a process.

    Attributes:
        at: the number of the call, from 0; -1 strikes none.
        action: one of ``ACTIONS``.
        code: errno, for ``fail``.
        calls: how many calls in a row, from ``at`` on.
        kinds: the kinds of calls that count; all by default.
    """

    at: int = -1
    action: str = "count"
    code: int = 0
    calls: int = 1
    kinds: tuple[str, ...] = KINDS

    def __str__(self) -> str:
        """Name the case."""
        kinds = "" if self.kinds == KINDS else f" of {'/'.join(self.kinds)}"
        often = (
            "" if self.calls == 1 else " and from then on" if self.calls == FOREVER else f" and {self.calls - 1} more"
        )
        return f"{self.action} {os.strerror(self.code) + ' ' if self.code else ''}at call {self.at}{kinds}{often}"


class ShimError(RuntimeError):
    """Report that the shim isn't there."""


def build() -> Path:
    """Compile the shim, once for each of its versions; return the library.

    Raises:
        ShimError: if this isn't Linux, or there is no C compiler.
    """
    if sys.platform != "linux":
        raise ShimError("the shim needs Linux, whose dynamic linker knows LD_PRELOAD")
    compiler = os.environ.get("CC") or next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        raise ShimError("the shim needs a C compiler; install one, or name it in CC")
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    library = Path(tempfile.gettempdir()) / f"velora-shim-{os.getuid()}-{digest}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=library.parent) as directory:
            made = Path(directory, "shim.so")
            options = ["-std=gnu11", "-O1", "-fPIC", "-shared", "-U_FORTIFY_SOURCE", "-Wall", "-Werror"]
            subprocess.run([*compiler.split(), *options, str(SOURCE), "-o", str(made), "-ldl", "-lpthread"], check=True)
            made.rename(library)
    return library


def environment() -> dict[str, str]:
    """Return this process's environment with the shim in it, for a process to be started."""
    before = os.environ.get("LD_PRELOAD", "").split()
    return {**os.environ, "LD_PRELOAD": " ".join([str(build()), *(one for one in before if "velora-shim" not in one)])}


def library() -> Any:
    """Return the shim that this process was started with.

    Raises:
        ShimError: if it was started without.
    """
    loaded = ctypes.CDLL(None)
    try:
        arm, disarm = loaded.shim_arm, loaded.shim_disarm
    except AttributeError:
        raise ShimError("this process was started without the shim; start it by benchmarks.reliability.job") from None
    arm.argtypes = [
        ctypes.c_char_p,
        *[ctypes.c_long, ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_uint],
        ctypes.c_int,
    ]
    arm.restype, disarm.restype = None, ctypes.c_long
    return loaded


def arm(below: Path, strike: Strike, *, trace: int = -1) -> None:
    """Watch what this process does below a directory.

    Args:
        below: an absolute path without links in it.
        strike: what happens, and where.
        trace: a descriptor to write every call to; see :mod:`benchmarks.reliability.trace`.
    """
    mask = sum(1 << number for number, kind in enumerate(KINDS) if kind in strike.kinds)
    action = ACTIONS.index(strike.action)
    library().shim_arm(os.fsencode(below), strike.at, action, strike.code, strike.calls, mask, trace)


def disarm() -> int:
    """Watch no more; return how many calls there were."""
    return int(library().shim_disarm())


def mark(text: str) -> None:
    """Write a mark into the trace, such as "saved"."""
    library().shim_mark(text.encode())


@contextmanager
def armed(below: Path, strike: Strike, *, trace: int = -1) -> Iterator[None]:
    """Watch while a block runs."""
    arm(below, strike, trace=trace)
    try:
        yield
    finally:
        disarm()
