"""How much memory a process can still take."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

GIB = 2**30
_GROUPS = Path("/sys/fs/cgroup")
_PROC = Path("/proc")


def available_bytes() -> int | None:
    """Estimate how much memory this process can still take without swapping.

    What counts is the least of what the machine has free, what its container is allowed, and the process's own limit.

    Returns:
        Bytes, or ``None`` where the system doesn't tell.
    """
    known = [size for size in (_of_machine(), *_of_containers(), _of_process()) if size is not None]
    return max(0, min(known)) if known else None


def resident_bytes() -> int | None:
    """Return how much memory this process has now; ``None`` where the system doesn't tell."""
    for line in _lines(_PROC / "self" / "statm"):
        return int(line.split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return None


def readable(size_bytes: float) -> str:
    """Write an amount of memory for people.

    Example:
        >>> readable(3 * 2**30), readable(5_000_000)
        ('3.0 GiB', '4.8 MiB')
    """
    return f"{size_bytes / GIB:,.1f} GiB" if size_bytes >= GIB else f"{size_bytes / 2**20:,.1f} MiB"


def _of_machine() -> int | None:
    """Return what the machine has free, or all it has where it tells no more."""
    if sys.platform == "win32":
        return _of_windows()
    for line in _lines(_PROC / "meminfo"):
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def _of_windows() -> int | None:
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            ("total", ctypes.c_ulonglong),
            ("available", ctypes.c_ulonglong),
            ("others", ctypes.c_ulonglong * 5),
        )

    status = Status(length=ctypes.sizeof(Status))
    asked = ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined,unused-ignore]
    return int(status.available) if asked else None


def _of_containers() -> Iterator[int]:
    """Yield what each control group around this process leaves it; caches that can be dropped count as free."""
    for line in _lines(_PROC / "self" / "cgroup"):
        number, _, place = line.partition(":")
        kind, _, path = place.partition(":")
        if number == "0":
            yield from _of_groups(_GROUPS, path, "memory.max", "memory.current", "inactive_file")
        elif "memory" in kind.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            yield from _of_groups(_GROUPS / "memory", path, *names)


def _of_groups(root: Path, path: str, limit: str, used: str, cache: str) -> Iterator[int]:
    group = root / path.lstrip("/")
    for directory in (group, *group.parents):
        if not directory.is_relative_to(root):
            return
        words = [next(_lines(directory / name), "") for name in (limit, used)]
        if all(word.strip().isdigit() for word in words):
            droppable = [line.split()[1] for line in _lines(directory / "memory.stat") if line.split()[0] == cache]
            yield int(words[0]) - int(words[1]) + sum(map(int, droppable))


def _of_process() -> int | None:
    """Return what ``ulimit -v`` leaves, if it is set."""
    if sys.platform == "win32":
        return None
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = next(_lines(_PROC / "self" / "statm"), "0").split()[0]
    return None if limit == resource.RLIM_INFINITY else limit - int(pages) * resource.getpagesize()


def _lines(path: Path) -> Iterator[str]:
    """Read a file line by line; one that isn't there is empty."""
    try:
        yield from path.read_text().splitlines()
    except OSError:
        return
